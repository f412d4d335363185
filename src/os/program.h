// SPDX-License-Identifier: MIT
//
// Which file a command's name means.
#pragma once

#include <string>
#include <string_view>

namespace prewarm::os {

// Whether it is a regular file that this process may execute.
bool is_program(const std::string& path);

// Whether elements of PATH that depend on the working directory (an empty one is that directory)
// are searched: not for somebody who is elsewhere.
enum class Relative : bool { searched, left_out };

// The first program of this name in the directories of `path`, a value of PATH; empty: there is
// none. A name with a slash is returned as it is.
std::string find_program(const std::string& name, std::string_view path,
                         Relative relative = Relative::searched);

}  // namespace prewarm::os
