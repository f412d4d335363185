// SPDX-License-Identifier: MIT
//
// Sections that must be asked for: what legitimately differs between two runs (or between a cold
// and a warm one), and what costs more than the rest together.
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <string_view>

#include "observe.h"
#include "proc.h"

extern "C" char** environ;

namespace mirror {
namespace {

std::string bytes_text(const void* bytes, std::size_t size) {
  std::string text;
  for (std::size_t i = 0; i < size; ++i) {
    constexpr char digits[] = "0123456789abcdef";
    const unsigned char byte = static_cast<const unsigned char*>(bytes)[i];
    text += digits[byte >> 4U];
    text += digits[byte & 0xfU];
  }
  return text;
}

#ifdef __x86_64__
std::uint64_t canary() {
  std::uint64_t value = 0;
  asm("movq %%fs:0x28, %0" : "=r"(value));
  return value;
}

std::uint64_t pointer_guard() {
  std::uint64_t value = 0;
  asm("movq %%fs:0x30, %0" : "=r"(value));
  return value;
}
#else
#error "the mirror knows where the canary is on x86-64 only"
#endif

int add_object(dl_phdr_info* info, std::size_t, void* names) {
  static_cast<std::set<std::string>*>(names)->insert(info->dlpi_name);
  return 0;
}

void add_numbered(Report& report, const std::string& key, const std::set<std::string>& values) {
  unsigned long number = 0;
  for (const auto& value : values) report.add(key + "." + padded(number++, 3), escape(value));
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// Start time (clock ticks since boot) of the process, against now.
std::string age() {
  const auto fields = stat_fields("self");
  if (fields.size() < 20) return "unknown";
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  const double started = std::stod(fields[22 - 3]) / static_cast<double>(sysconf(_SC_CLK_TCK));
  const double age =
      static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9 - started;
  return age < -0.1 ? "in the future" : age < 1.0 ? "below a second" : "a second or more";
}

bool is_loader_variable(std::string_view entry) {
  return entry.starts_with("LD_") || entry.starts_with("PREWARM");
}

[[noreturn]] void run_lister(int output) {
  dup2(output, STDOUT_FILENO);
  char name[] = "mirror";
  char option[] = "--list-loader-variables";
  char* arguments[] = {name, option, nullptr};
  execve("/proc/self/exe", arguments, environ);
  _exit(127);
}

}  // namespace

void observe_canary(Report& report) {
  const std::uint64_t value = canary();
  const std::uint64_t guard = pointer_guard();
  const auto* const random = reinterpret_cast<const void*>(getauxval(AT_RANDOM));
  report.add_yes_no("canary.nonzero", value != 0);
  report.add_yes_no("canary.low_byte_zero", (value & 0xffU) == 0);
  report.add("canary.value", hexadecimal(value));
  report.add("canary.pointer_guard", hexadecimal(guard));
  report.add("canary.at_random", random != nullptr ? bytes_text(random, 16) : "null");
}

void observe_maps(Report& report) {
  std::set<std::string> names;
  long long anonymous = 0;
  for (const auto& mapping : read_mappings()) {
    if (mapping.name.empty()) {
      ++anonymous;
    } else {
      names.insert(mapping.name);
    }
  }
  add_numbered(report, "map", names);
  report.add_number("map.anonymous", anonymous);
  std::set<std::string> objects;
  dl_iterate_phdr(add_object, &objects);
  add_numbered(report, "object", objects);
}

void observe_usage(Report& report) {
  rusage own{};
  rusage children{};
  getrusage(RUSAGE_SELF, &own);
  getrusage(RUSAGE_CHILDREN, &children);
  report.add("usage.age", age());
  report.add_yes_no("usage.user_below_100ms", seconds(own.ru_utime) < 0.1);
  report.add_yes_no("usage.system_below_100ms", seconds(own.ru_stime) < 0.1);
  report.add_yes_no("usage.faults_below_2000", own.ru_minflt < 2000);
  report.add_yes_no("usage.children_used_nothing",
                    seconds(children.ru_utime) + seconds(children.ru_stime) == 0.0);
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  report.add_yes_no("usage.clock_below_200ms", used.tv_sec == 0 && used.tv_nsec < 200'000'000);
}

void observe_child(Report& report) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    report.add_error("child", errno);
    return;
  }
  const pid_t child = fork();
  if (child == 0) run_lister(ends[1]);
  close(ends[1]);
  std::string text;
  char buffer[4096];
  ssize_t count = 0;
  while ((count = read(ends[0], buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<std::size_t>(count));
  }
  close(ends[0]);
  int status = -1;
  const bool reaped = child > 0 && waitpid(child, &status, 0) == child;
  report.add("child.environment", text.empty() ? "none" : escape(text));
  report.add("child.status", reaped ? std::to_string(status) : error_text(errno));
}

int list_loader_variables(const Start& start) {
  std::string text;
  for (char** entry = start.envp; *entry != nullptr; ++entry) {
    if (is_loader_variable(*entry)) text += std::string(*entry) + "\n";
  }
  return write(STDOUT_FILENO, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0
                                                                                             : 1;
}

}  // namespace mirror
