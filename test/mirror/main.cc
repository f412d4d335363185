// SPDX-License-Identifier: MIT
//
// mirror: prints everything that a process can observe about itself, so that a launch from a
// parked process can be compared, line by line, with a plain execve. Options are in options.h.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "observe.h"

#ifdef MIRROR_LIBRARY
#include "library/report.h"
#endif

namespace {

using namespace mirror;

constexpr int status_no_output = 97;

unsigned short x87_control_word() {
  unsigned short word = 0;
  asm volatile("fnstcw %0" : "=m"(word));
  return word;
}

void observe_everything(Report& report, const Start& start, const Options& options) {
  observe_arguments(report, start);
  observe_environment(report, start);
  observe_names(report, start);
  observe_auxv(report, start);
  observe_directories(report);
  observe_descriptors(report);
  observe_standard_streams(report);
  observe_signals(report);
  observe_limits(report);
  observe_scheduling(report);
  observe_timers(report);
  observe_attributes(report);
  observe_capabilities(report);
  observe_system_view(report);
  observe_users(report);
  observe_relatives(report, options);
  observe_keyrings(report);
  observe_thread_identity(report);
  observe_stack(report, start);
  // From here on the process is changed by being looked at.
  observe_libc(report, start);
  observe_locale(report);
  observe_memory(report);
  observe_new_threads(report);
}

void observe_sections(Report& report, [[maybe_unused]] const Start& start, const Options& options) {
  if (options.canary) observe_canary(report);
  if (options.maps) observe_maps(report);
  if (options.usage) observe_usage(report);
#ifdef MIRROR_CONSTRUCTOR
  if (options.constructor) observe_constructor(report, start);
#endif
  if (options.child) observe_child(report);
#ifdef MIRROR_LIBRARY  // a variant, linked with a small library that adds lines of its own
  mirror_library_report(
      [](void* to, const char* key, const char* value) {
        static_cast<Report*>(to)->add(std::string("library.") + key, escape(value));
      },
      &report);
#endif
  report.add("program.version", MIRROR_VERSION);
}

void read_input(Report& report, unsigned long size) {
  if (size == 0) return;
  std::string bytes(size, '\0');
  const ssize_t count = read(STDIN_FILENO, bytes.data(), bytes.size());
  const std::string_view got(bytes.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  report.add("stdin.data", count < 0 ? error_text(errno) : digest(got));
}

bool write_report(const Report& report, const std::string& output) {
  const std::string text = report.text();
  const bool to_file = !output.empty();
  const int fd = to_file ? open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)
                         : STDOUT_FILENO;
  if (fd < 0) return false;
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (to_file) close(fd);
  return written;
}

void speak(const Options& options) {
  // Both through stdio and unflushed: exit has to do it.
  if (!options.say.empty()) std::fprintf(stdout, "%s\n", options.say.c_str());
  if (!options.say_error.empty()) std::fprintf(stderr, "%s\n", options.say_error.c_str());
}

void die_of(int number) {
  signal(number, SIG_DFL);
  raise(number);
}

}  // namespace

int main(int argc, char** argv, char** envp) {
  const Start start{argc, argv, envp, errno, x87_control_word(), __builtin_ia32_stmxcsr()};
  const Options options = parse_options(argc, argv);
  if (options.list_loader_variables) return list_loader_variables(start);

  Report report;
  observe_everything(report, start, options);
  observe_sections(report, start, options);
  read_input(report, options.read_bytes);
  if (!write_report(report, options.output)) {
    std::fprintf(stderr, "mirror: can't write the report: %s\n", error_text(errno).c_str());
    return status_no_output;
  }

  register_exit_handlers(options.output);
  speak(options);
  // Not a wait for any event: a program that takes as long as real ones do.
  if (options.linger_ms > 0) poll(nullptr, 0, options.linger_ms);
  if (options.signal != 0) die_of(options.signal);
  return options.exit_status;
}
