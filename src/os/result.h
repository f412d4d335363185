// SPDX-License-Identifier: MIT
//
// Error and Result (prewarm/result.h), and how the library's own code makes them.
#pragma once

#include <string>

#include "prewarm/result.h"

namespace prewarm::os {

using prewarm::Error;
using prewarm::Result;

// An Error with the current errno.
std::unexpected<Error> failed(const char* operation, std::string subject = {});
std::unexpected<Error> failed_with(int code, const char* operation, std::string subject = {});

}  // namespace prewarm::os
