// SPDX-License-Identifier: MIT
//
// A message of the coprocess protocols (docs/protocol/messages.md), and its text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace prewarm::coproc {

inline constexpr std::size_t kMaxMessageBytes = 8'388'608;
inline constexpr std::size_t kMaxFields = 131'072;
inline constexpr std::size_t kMaxNameBytes = 31;  // of types and fields
inline constexpr unsigned kProtocolVersion = 1;

struct Field {
  std::string name;
  std::string value;

  bool operator==(const Field&) const = default;
};

struct Message {
  std::string type;
  std::uint32_t id = 0;
  std::vector<Field> fields;

  void add(std::string name, std::string value = {}) {
    fields.push_back({std::move(name), std::move(value)});
  }
  // The value of the last field of that name, which is the one that counts; null: there is none.
  const std::string* find(std::string_view name) const;
  // The same as a number; nothing if it is none, or larger than `most`.
  std::optional<std::uint64_t> number(std::string_view name, std::uint64_t most) const;

  bool operator==(const Message&) const = default;
};

// A decimal number as the protocols have them: digits only, no leading zero, not above `most`.
std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t most);

// The text of `message`, or nothing if it would break a limit or hold a NUL. Names are the caller's
// care.
std::optional<std::string> print_message(const Message& message);

// Takes one message off the front of `text`. Nothing: it isn't whole yet. An error, in words, for
// people: it never will be one.
std::expected<std::optional<Message>, const char*> take_message(std::string_view& text);

// `text` is exactly one message.
std::expected<Message, const char*> parse_message(std::string_view text);

}  // namespace prewarm::coproc
