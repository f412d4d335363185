// SPDX-License-Identifier: MIT
#include "coproc/bazel_json.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

namespace prewarm::coproc {
namespace {

using nlohmann::json;

constexpr unsigned kMaxDepth = 64;
constexpr std::string_view kBlanks = " \t\r\n";

// Takes the members of the outermost object as they come and builds no tree, so that a large
// response costs no more memory than itself.
class ResponseReader : public nlohmann::json_sax<json> {
 public:
  WorkResponse response;
  const char* wrong = nullptr;

  bool null() override { return true; }  // a member's default
  bool boolean(bool value) override {
    if (!is_member()) return true;
    if (name_ == "wasCancelled") response.was_cancelled = value;
    return not_a_number() && not_text();
  }
  bool number_integer(number_integer_t value) override {
    if (value < std::numeric_limits<std::int32_t>::min()) return other();
    return number(value);
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > std::numeric_limits<std::int32_t>::max()) return other();
    return number(static_cast<std::int64_t>(value));
  }
  bool number_float(number_float_t, const string_t&) override { return other(); }
  bool string(string_t& value) override {
    if (!is_member()) return true;
    if (name_ == "output") response.output = std::move(value);
    return not_a_number() && not_a_boolean();
  }
  bool binary(binary_t&) override { return other(); }
  bool start_object(std::size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (depth_ == 1) name_ = std::move(name);
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return fail("it is not JSON");
  }

 private:
  bool fail(const char* why) {
    if (wrong == nullptr) wrong = why;
    return false;
  }
  bool is_member() const { return depth_ == 1; }
  bool not_a_number() {
    return (name_ != "exitCode" && name_ != "requestId") ||
           fail("a member is no number of 32 bits");
  }
  bool not_text() { return name_ != "output" || fail("its member output is no text"); }
  bool not_a_boolean() {
    return name_ != "wasCancelled" || fail("its member wasCancelled is no boolean");
  }
  bool other() { return !is_member() || (not_a_number() && not_text() && not_a_boolean()); }
  bool number(std::int64_t value) {
    if (!is_member()) return true;
    if (name_ == "exitCode") response.exit_code = static_cast<std::int32_t>(value);
    if (name_ == "requestId") response.request_id = static_cast<std::int32_t>(value);
    return not_text() && not_a_boolean();
  }
  bool open() {
    if (!other()) return false;
    return ++depth_ <= kMaxDepth || fail("it is nested too deeply");
  }
  bool close() {
    --depth_;
    return true;
  }

  unsigned depth_ = 0;
  std::string name_;
};

}  // namespace

std::string print_json_request(const WorkRequest& request) {
  // An empty array would do, but some workers want the member to be there.
  json message = {{"arguments", request.arguments}, {"requestId", request.request_id}};
  if (request.cancel) message["cancel"] = true;
  return message.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::size_t json_object_length(std::string_view text) {
  const auto begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return 0;
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = begin; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return i + 1;
    }
  }
  return 0;
}

std::expected<std::optional<WorkResponse>, const char*> take_json_response(
    std::string_view& bytes) {
  const auto begin = bytes.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) {
    bytes = {};
    return std::nullopt;
  }
  if (bytes[begin] != '{') return std::unexpected("it doesn't begin with {");
  const auto length = json_object_length(bytes);
  if (std::max(length, length == 0 ? bytes.size() : 0) > kMaxResponseBytes) {
    return std::unexpected("it is too long");
  }
  if (length == 0) return std::nullopt;
  ResponseReader reader;
  const auto text = bytes.substr(begin, length - begin);
  if (!json::sax_parse(text, &reader)) {
    return std::unexpected(reader.wrong != nullptr ? reader.wrong : "it is not JSON");
  }
  bytes.remove_prefix(length);
  return std::move(reader.response);
}

}  // namespace prewarm::coproc
