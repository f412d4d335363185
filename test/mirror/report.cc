// SPDX-License-Identifier: MIT
#include "report.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace mirror {

void Report::add(std::string key, std::string value) {
  if (!lines_.emplace(std::move(key), std::move(value)).second) std::abort();
}

void Report::add(std::string key, const char* value) { add(std::move(key), std::string(value)); }

void Report::add_number(std::string key, long long value) {
  add(std::move(key), std::to_string(value));
}

void Report::add_yes_no(std::string key, bool value) { add(std::move(key), value ? "yes" : "no"); }

void Report::add_error(std::string key, int error) { add(std::move(key), error_text(error)); }

std::string Report::text() const {
  std::string text;
  for (const auto& [key, value] : lines_) text.append(key).append(": ").append(value).append("\n");
  return text;
}

std::string escape(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (const char c : bytes) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\\') {
      out += "\\\\";
    } else if (c >= ' ' && c <= '~') {
      out += c;
    } else {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\x%02x",
                    static_cast<unsigned>(static_cast<unsigned char>(c)));
      out += hex;
    }
  }
  return out;
}

std::string digest(std::string_view bytes) {
  constexpr std::size_t longest_shown = 300;
  if (bytes.size() <= longest_shown) return escape(bytes);
  return "(" + std::to_string(bytes.size()) + " bytes, " + hash_text(bytes) + ")";
}

std::string hash_text(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : bytes) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3U;
  }
  return "fnv1a " + hexadecimal(hash);
}

std::string error_text(int error) {
  const char* name = strerrorname_np(error);
  return name != nullptr ? std::string("error ") + name : "error " + std::to_string(error);
}

std::string padded(unsigned long number, unsigned width) {
  std::string digits = std::to_string(number);
  if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
  return digits;
}

std::string hexadecimal(unsigned long long number) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", number);
  return text;
}

std::string octal(unsigned number) {
  char text[16];
  std::snprintf(text, sizeof text, "0%o", number);
  return text;
}

}  // namespace mirror
