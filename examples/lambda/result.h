// SPDX-License-Identifier: MIT
//
// The demo's one error style.

#pragma once

#include <expected>
#include <string>
#include <system_error>

namespace lambda {

// Reads as "cannot OPERATION SUBJECT: REASON".
struct Error {
  std::string operation;
  std::string subject;
  std::string reason;

  std::string message() const { return "cannot " + operation + " " + subject + ": " + reason; }
};

template <class T>
using Result = std::expected<T, Error>;

// An error of a system call; `code` is its errno.
inline std::unexpected<Error> system_failure(std::string operation, std::string subject, int code) {
  return std::unexpected(
      Error{std::move(operation), std::move(subject), std::generic_category().message(code)});
}

}  // namespace lambda
