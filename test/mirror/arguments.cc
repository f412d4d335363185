// SPDX-License-Identifier: MIT
#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "observe.h"
#include "proc.h"

extern "C" char** environ;

namespace mirror {
namespace {

constexpr unsigned long shown_at_most = 64;

// A list of strings: every one if they are few, and count and hash always.
void add_strings(Report& report, const std::string& key, const std::vector<std::string>& strings) {
  std::string all;
  for (unsigned long i = 0; i < strings.size(); ++i) {
    if (i < shown_at_most) report.add(key + "." + padded(i, 4), digest(strings[i]));
    all += strings[i];
    all += '\0';
  }
  report.add_number(key + ".count", static_cast<long long>(strings.size()));
  report.add(key + ".hash", hash_text(all));
}

// The shell's pid is the one argument that differs from run to run.
std::vector<std::string> masked_arguments(const Start& start) {
  std::vector<std::string> arguments;
  for (int i = 0; i < start.argc; ++i) {
    const bool is_pid = i > 0 && std::strcmp(start.argv[i - 1], "--shell-pid") == 0;
    arguments.emplace_back(is_pid ? "<shell-pid>" : start.argv[i]);
  }
  return arguments;
}

std::string joined(char* const* strings) {
  std::string all;
  for (; *strings != nullptr; ++strings) {
    all += *strings;
    all += '\0';
  }
  return all;
}

// Programs which set their title overwrite the strings in place: argv and environ must be one
// unbroken run of bytes, as the kernel lays them out.
bool contiguous(const Start& start) {
  const char* expected = start.argv[0];
  for (char* const* list : {start.argv, start.envp}) {
    for (; *list != nullptr; ++list) {
      if (*list != expected) return false;
      expected += std::strlen(expected) + 1;
    }
  }
  return true;
}

// Whether a write to argv[0] shows in /proc/self/cmdline, which it does after an execve.
std::string writes_through(const Start& start) {
  char* const first = start.argv[0];
  if (start.argc == 0 || *first == '\0') return "nothing to write to";
  const char saved = *first;
  *first = saved == '#' ? '%' : '#';
  const auto seen = read_file("/proc/self/cmdline");
  const char wanted = *first;
  *first = saved;
  if (!seen) return error_text(errno);
  return !seen->empty() && seen->front() == wanted ? "yes" : "no";
}

std::string agreement(const char* path, const std::string& expected) {
  const auto seen = read_file(path);
  if (!seen) return error_text(errno);
  return *seen == expected ? "yes" : "no, it is " + digest(*seen);
}

}  // namespace

void observe_arguments(Report& report, const Start& start) {
  add_strings(report, "argv", masked_arguments(start));
  report.add_yes_no("argv.ends_with_null", start.argv[start.argc] == nullptr);
  report.add("argv.matches_proc_cmdline", agreement("/proc/self/cmdline", joined(start.argv)));
  report.add("argv.write_shows_in_proc_cmdline", writes_through(start));
  report.add_yes_no("argv.contiguous_with_environ", contiguous(start));
  report.add("argv.mapping",
             start.argc > 0 ? mapping_name(read_mappings(), start.argv[0]) : "none");
  report.add("argv.array_mapping", mapping_name(read_mappings(), start.argv));
}

void observe_environment(Report& report, const Start& start) {
  std::vector<std::string> variables;
  bool found_by_getenv = true;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    variables.emplace_back(*entry);
    const auto equals = variables.back().find('=');
    if (equals == std::string::npos || equals == 0) continue;
    const char* value = std::getenv(variables.back().substr(0, equals).c_str());
    found_by_getenv = found_by_getenv && value != nullptr;
  }
  add_strings(report, "environ", variables);
  report.add_yes_no("environ.is_envp_of_main", environ == start.envp);
  report.add_yes_no("environ.follows_argv", start.argv + start.argc + 1 == start.envp);
  report.add_yes_no("environ.all_found_by_getenv", found_by_getenv);
  report.add("environ.matches_proc_environ", agreement("/proc/self/environ", joined(start.envp)));
}

void observe_names(Report& report, const Start& start) {
  report.add("name.invocation", digest(program_invocation_name));
  report.add("name.invocation_short", digest(program_invocation_short_name));
  report.add_yes_no("name.invocation_is_argv0", program_invocation_name == start.argv[0]);
  char name[17] = "";
  prctl(PR_GET_NAME, name);
  report.add("name.comm", escape(name));
  report.add("name.proc_comm", file_value("/proc/self/comm"));
  report.add("name.proc_exe", link_value("/proc/self/exe"));
}

}  // namespace mirror
