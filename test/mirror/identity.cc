// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <pwd.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "observe.h"
#include "proc.h"

namespace mirror {
namespace {

std::string group_list() {
  const int count = getgroups(0, nullptr);
  if (count < 0) return error_text(errno);
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  if (getgroups(count, groups.data()) < 0) return error_text(errno);
  std::string text;
  for (const gid_t group : groups) text += (text.empty() ? "" : " ") + std::to_string(group);
  return text.empty() ? "none" : text;
}

template <typename Id>
std::string three(Id real, Id effective, Id saved) {
  return std::to_string(real) + " " + std::to_string(effective) + " " + std::to_string(saved);
}

// What one process or group number is to this process and to the shell that started it.
std::string relation(pid_t id, pid_t own, pid_t shells) {
  if (id < 0) return error_text(errno);
  if (id == 0) return "outside this pid namespace";
  std::string text = id == own ? "own pid" : "not own pid";
  text += id == shells ? ", the shell's" : ", not the shell's";
  return text;
}

std::string foreground_group(pid_t shell) {
  const int terminal = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) return "no terminal, " + error_text(errno);
  const pid_t group = tcgetpgrp(terminal);
  const int error = errno;
  close(terminal);
  if (group < 0) return error_text(error);
  std::string text = group == getpgrp() ? "own group" : "not own group";
  return text + (shell > 0 && group == getpgid(shell) ? ", the shell's" : ", not the shell's");
}

std::string children(unsigned flags) {
  const pid_t child = waitpid(-1, nullptr, static_cast<int>(WNOHANG | flags));
  return child < 0 ? error_text(errno) : child == 0 ? "some run" : "one had exited";
}

std::string keyring_description(int serial) {
  char text[256] = "";
  const long length = syscall(SYS_keyctl, KEYCTL_DESCRIBE, serial, text, sizeof text - 1);
  return length >= 0 ? escape(text) : error_text(errno);
}

}  // namespace

void observe_users(Report& report) {
  uid_t uid[3];
  gid_t gid[3];
  getresuid(&uid[0], &uid[1], &uid[2]);
  getresgid(&gid[0], &gid[1], &gid[2]);
  report.add("user.uid", three(uid[0], uid[1], uid[2]));
  report.add("user.gid", three(gid[0], gid[1], gid[2]));
  // -1 isn't a user or group: these calls change nothing and return the current id.
  report.add_number("user.fsuid", setfsuid(static_cast<uid_t>(-1)));
  report.add_number("user.fsgid", setfsgid(static_cast<gid_t>(-1)));
  report.add("user.groups", group_list());
#ifndef MIRROR_STATIC
  const passwd* const entry = getpwuid(uid[0]);
  report.add("user.name", entry != nullptr ? escape(entry->pw_name) : "none");
#endif
}

void observe_relatives(Report& report, const Options& options) {
  const pid_t own = getpid();
  const auto shell = static_cast<pid_t>(options.shell_pid);
  const bool known = shell > 0;
  report.add("parent.is_shell", known ? (getppid() == shell ? "yes" : "no") : "unknown");
  const std::string parent = "/proc/" + std::to_string(getppid());
  report.add("parent.comm", file_value((parent + "/comm").c_str()));
  report.add("parent.exe", link_value((parent + "/exe").c_str()));
  report.add("session", relation(getsid(0), own, known ? getsid(shell) : -1));
  report.add("group", relation(getpgrp(), own, known ? getpgid(shell) : -1));
  report.add("terminal.foreground", foreground_group(shell));
  const auto fields = stat_fields("self");
  const auto shell_fields = stat_fields(known ? std::to_string(shell) : "self");
  if (fields.size() > 8 && shell_fields.size() > 8) {
    report.add_yes_no("terminal.same_as_shell", fields[7 - 3] == shell_fields[7 - 3]);
    report.add_yes_no("terminal.present", fields[7 - 3] != "0");
  }
  if (known) {
    const auto shells = read_file(("/proc/" + std::to_string(shell) + "/autogroup").c_str());
    report.add_yes_no("sched.autogroup_is_shells", shells == read_file("/proc/self/autogroup"));
  }
  report.add("children.wait", children(0));
  report.add("children.wait_all", children(__WALL));
  report.add("children.wait_cloned", children(__WCLONE));
  const auto list = read_file("/proc/thread-self/children");
  report.add("children.proc", list ? (list->empty() ? "none" : "some") : error_text(errno));
}

void observe_keyrings(Report& report) {
  struct Special {
    int serial;
    const char* name;
  };
  constexpr Special specials[] = {{KEY_SPEC_THREAD_KEYRING, "thread"},
                                  {KEY_SPEC_PROCESS_KEYRING, "process"},
                                  {KEY_SPEC_SESSION_KEYRING, "session"}};
  for (const auto& [serial, name] : specials) {
    const long id = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, serial, 0);
    const std::string key = std::string("keyring.") + name;
    report.add(key, id >= 0 ? std::to_string(id) : error_text(errno));
    if (id >= 0) report.add(key + ".description", keyring_description(serial));
  }
}

}  // namespace mirror
