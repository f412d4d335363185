// SPDX-License-Identifier: MIT
//
// Whether exit runs everything that was registered, before and in main, in the right order. The
// last of them, the program's destructor, appends one line to the report; its key starts with '~'
// because it comes after all sorted keys.
#include <fcntl.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <string>

#include "observe.h"

namespace mirror {
namespace {

char output_path[PATH_MAX];
char order[256];

void note(const char* step) {
  if (order[0] != '\0') std::strncat(order, " ", sizeof order - std::strlen(order) - 1);
  std::strncat(order, step, sizeof order - std::strlen(order) - 1);
}

[[gnu::constructor]] void register_early() {
  std::atexit([] { note("registered-before-main"); });
}

struct ThreadLocal {
  ~ThreadLocal() { note("thread-local"); }
  bool used = false;
};

thread_local ThreadLocal thread_local_object;

[[gnu::destructor]] void write_order() {
  if (output_path[0] == '\0') return;
  note("destructor");
  char line[sizeof order + 32] = "~exit.order: ";
  std::strcat(line, order);
  std::strcat(line, "\n");
  const bool to_file = std::strcmp(output_path, "-") != 0;
  const int fd = to_file ? open(output_path, O_WRONLY | O_APPEND | O_CLOEXEC) : STDOUT_FILENO;
  if (fd < 0) return;
  // Nobody is left to report a failure to: the line will be missing, which the comparison shows.
  [[maybe_unused]] const ssize_t written = write(fd, line, std::strlen(line));
  if (to_file) close(fd);
}

}  // namespace

void register_exit_handlers(const std::string& output) {
  const std::string path = output.empty() ? "-" : output;
  std::strncpy(output_path, path.c_str(), sizeof output_path - 1);
  thread_local_object.used = true;
  std::atexit([] { note("first"); });
  on_exit([](int status, void*) { note(status == 0 ? "on-exit-0" : "on-exit-nonzero"); }, nullptr);
  std::atexit([] { note("last"); });
}

}  // namespace mirror
