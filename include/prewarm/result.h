// SPDX-License-Identifier: MIT
//
// One style of error for the whole library: a value, or an Error that says which operation failed,
// on what, and with which errno. Nothing here throws.
#pragma once

#include <expected>
#include <string>

namespace [[gnu::visibility("default")]] prewarm {

struct Error {
  const char* operation;  // a literal: "open", "map the pool table"
  std::string subject;    // path, name or number it was done to; may be empty
  int code;               // errno value; 0 if no system call failed

  // "open /x: No such file or directory"
  std::string message() const;
};

template <class T>
using Result = std::expected<T, Error>;

}  // namespace prewarm
