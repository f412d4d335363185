// SPDX-License-Identifier: MIT
//
// Where the parts of prewarm are: beside the command (build tree), or where they were installed.
#pragma once

#include <string>

namespace prewarm::cli {

std::string find_command();   // this command's own file; empty if it can't be told
std::string find_loadable();  // empty if it isn't there whole
std::string find_agent();     // empty if it isn't there whole
// Of images: prewarmd, libprewarm-restore.so and prewarm-entry; empty if they aren't there.
std::string find_service();
std::string find_restorer();
std::string find_entry_template();
// Directory of the programs that `prewarm bench spawn` starts; empty if they aren't there.
std::string find_bench_programs();
// The bash that a user would start by name; /bin/bash if PATH has none.
std::string find_bash();
std::string find_on_path(const std::string& name);  // absolute path of a command; empty if none
// `path` from the root on; as it is, if it isn't known where that is.
std::string absolute(const std::string& path);

}  // namespace prewarm::cli
