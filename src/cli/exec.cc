// SPDX-License-Identifier: MIT
#include "cli/exec.h"

#include <errno.h>
#include <unistd.h>

#include <cstring>

#include "cli/commands.h"
#include "os/program.h"

namespace prewarm::cli {
namespace {

constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

int fail(int status, const std::string& text) {
  complain(text);
  return status;
}

}  // namespace

int exec_program(const ExecOptions& options) {
  const std::string& name = options.command.front();
  const char* path_variable = std::getenv("PATH");
  const std::string program = os::find_program(
      name, path_variable == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path_variable);
  if (program.empty()) return fail(kNotFound, name + ": command not found");
  std::vector<char*> argv;
  for (const auto& word : options.command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execve(program.c_str(), argv.data(), environ);
  const int error = errno;
  const std::string why = std::strerror(error);
  return error == ENOENT && ::access(program.c_str(), F_OK) != 0
             ? fail(kNotFound, program + ": there is no such file")
             : fail(kNotExecutable, program + ": can't be executed: " + why);
}

}  // namespace prewarm::cli
