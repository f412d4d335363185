// SPDX-License-Identifier: MIT
#include "os/result.h"

#include <cerrno>
#include <cstring>

namespace prewarm {

std::string Error::message() const {
  std::string text = operation;
  if (!subject.empty()) text += " " + subject;
  if (code != 0) text += std::string(": ") + std::strerror(code);
  return text;
}

namespace os {

std::unexpected<Error> failed(const char* operation, std::string subject) {
  return failed_with(errno, operation, std::move(subject));
}

std::unexpected<Error> failed_with(int code, const char* operation, std::string subject) {
  return std::unexpected(Error{operation, std::move(subject), code});
}

}  // namespace os
}  // namespace prewarm
