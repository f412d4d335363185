// SPDX-License-Identifier: MIT
#include "coproc/message.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace prewarm::coproc {
namespace {

constexpr auto kMaxId = std::numeric_limits<std::uint32_t>::max();

bool is_name(std::string_view text) {
  const auto is_part = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !text.empty() && text.size() <= kMaxNameBytes && text[0] >= 'a' && text[0] <= 'z' &&
         std::all_of(text.begin(), text.end(), is_part);
}

// Longest header: a name, two numbers, two blanks.
constexpr std::size_t kMaxHeaderBytes = kMaxNameBytes + 10 + 10 + 2;

struct Header {
  Message message;
  std::uint64_t count = 0;
};

std::optional<Header> parse_header(std::string_view line) {
  const auto first = line.find(' ');
  if (first == std::string_view::npos) return {};
  const auto second = line.find(' ', first + 1);
  if (second == std::string_view::npos) return {};
  const auto type = line.substr(0, first);
  const auto id = parse_number(line.substr(first + 1, second - first - 1), kMaxId);
  const auto count = parse_number(line.substr(second + 1), kMaxFields);
  if (!is_name(type) || !id || !count) return {};
  Header header;
  header.message.type = type;
  header.message.id = static_cast<std::uint32_t>(*id);
  header.count = *count;
  return header;
}

bool unescape(std::string_view text, std::string& value) {
  if (text.find('\0') != std::string_view::npos) return false;
  value.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto next = std::min(text.find('\\', at), text.size());
    value.append(text.substr(at, next - at));
    if (next == text.size()) return true;
    if (next + 1 == text.size()) return false;
    if (text[next + 1] != '\\' && text[next + 1] != 'n') return false;
    value.push_back(text[next + 1] == 'n' ? '\n' : '\\');
    at = next + 2;
  }
  return true;
}

void escape(std::string_view value, std::string& text) {
  for (std::size_t at = 0; at < value.size();) {
    const auto next = std::min(value.find_first_of("\\\n", at), value.size());
    text.append(value.substr(at, next - at));
    if (next == value.size()) return;
    text.append(value[next] == '\n' ? "\\n" : "\\\\");
    at = next + 1;
  }
}

bool parse_field(std::string_view line, Message& message) {
  const auto blank = line.find(' ');
  if (blank == std::string_view::npos || !is_name(line.substr(0, blank))) return false;
  Field& field = message.fields.emplace_back();
  field.name = line.substr(0, blank);
  return unescape(line.substr(blank + 1), field.value);
}

}  // namespace

const std::string* Message::find(std::string_view name) const {
  const auto last = std::find_if(fields.rbegin(), fields.rend(),
                                 [name](const Field& field) { return field.name == name; });
  return last == fields.rend() ? nullptr : &last->value;
}

std::optional<std::uint64_t> Message::number(std::string_view name, std::uint64_t most) const {
  const std::string* text = find(name);
  return text == nullptr ? std::nullopt : parse_number(*text, most);
}

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t most) {
  std::uint64_t value = 0;
  if (text.empty() || (text[0] == '0' && text.size() > 1)) return {};
  // from_chars of an unsigned number takes digits only.
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > most) return {};
  return value;
}

std::optional<std::string> print_message(const Message& message) {
  if (message.fields.size() > kMaxFields) return {};
  std::string text = message.type;
  text += ' ';
  text += std::to_string(message.id);
  text += ' ';
  text += std::to_string(message.fields.size());
  text += '\n';
  for (const auto& [name, value] : message.fields) {
    if (value.find('\0') != std::string::npos) return {};
    text += name;
    text += ' ';
    escape(value, text);
    text += '\n';
    if (text.size() > kMaxMessageBytes) return {};
  }
  return text;
}

std::expected<std::optional<Message>, const char*> take_message(std::string_view& text) {
  const auto header_end = text.find('\n');
  if (std::min(header_end, text.size()) > kMaxHeaderBytes) {
    return std::unexpected("its first line is longer than a header can be");
  }
  if (header_end == std::string_view::npos) return std::nullopt;
  auto header = parse_header(text.substr(0, header_end));
  if (!header) return std::unexpected("its first line is not a header");
  Message& message = header->message;
  std::size_t at = header_end + 1;
  for (std::uint64_t i = 0; i < header->count; ++i) {
    const auto end = text.find('\n', at);
    if (std::min(end, text.size()) >= kMaxMessageBytes) return std::unexpected("it is too long");
    if (end == std::string_view::npos) return std::nullopt;
    if (!parse_field(text.substr(at, end - at), message)) {
      return std::unexpected("one of its lines is not a field");
    }
    at = end + 1;
  }
  text.remove_prefix(at);
  return std::move(message);
}

std::expected<Message, const char*> parse_message(std::string_view text) {
  auto message = take_message(text);
  if (!message) return std::unexpected(message.error());
  if (!*message) return std::unexpected("it ends before its last field");
  if (!text.empty()) return std::unexpected("more follows its last field");
  return std::move(**message);
}

}  // namespace prewarm::coproc
