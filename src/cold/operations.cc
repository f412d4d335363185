// SPDX-License-Identifier: MIT
#include <string.h>

#include "cold/plan.h"
#include "prewarm/spawn.h"

namespace prewarm {
namespace {

Operation make(OperationCode code) {
  Operation o;
  o.code = code;
  return o;
}

Operation with_fd(OperationCode code, int fd, int other = -1) {
  Operation o = make(code);
  o.fd = fd;
  o.other = other;
  return o;
}

Operation with_data(OperationCode code, const void* data, std::size_t size = 0) {
  Operation o = make(code);
  o.data = data;
  o.size = size;
  return o;
}

Operation with_signals(OperationCode code, const sigset_t& signals) {
  Operation o = make(code);
  // The kernel's sets have 64 bits; libc's are larger, for signals that don't exist.
  static_assert(sizeof o.value <= sizeof signals);
  memcpy(&o.value, &signals, sizeof o.value);
  return o;
}

Operation with_arguments(Operation o, char* const* argv, char* const* env) {
  o.extra = argv;
  o.more = cold::word(env);
  return o;
}

}  // namespace

Operation Operation::tag(std::uint64_t data_for_user) const {
  Operation o = *this;
  o.user_data = data_for_user;
  return o;
}

Operation Operation::link() const {
  Operation o = *this;
  o.linked = true;
  return o;
}

Operation Operation::hard_link() const {
  Operation o = *this;
  o.linked = o.hard_linked = true;
  return o;
}

namespace op {

Operation clone(const CloneOptions& options) {
  Operation o = with_fd(OperationCode::clone, options.cgroup, options.exit_signal);
  o.value = static_cast<std::uint32_t>(options.namespaces);
  o.more = (options.pidfd ? cold::kWantsPidfd : 0) | (options.detached ? cold::kDetached : 0);
  return o;
}

Operation exec(const char* path, char* const* argv, char* const* env) {
  return with_arguments(with_data(OperationCode::exec, path), argv, env);
}

Operation exec_fd(int fd, char* const* argv, char* const* env) {
  return with_arguments(with_fd(OperationCode::exec_fd, fd), argv, env);
}

Operation open(int fd, const char* path, int flags, mode_t mode) {
  Operation o = with_fd(OperationCode::open, fd, flags);
  o.data = path;
  o.value = mode;
  return o;
}

Operation dup(int from, int to) { return with_fd(OperationCode::dup, from, to); }

Operation close(int fd) { return with_fd(OperationCode::close, fd); }

Operation close_range(unsigned first, unsigned last) {
  Operation o = make(OperationCode::close_range);
  o.value = first;
  o.more = last;
  return o;
}

Operation keep_only(std::span<const Inherited> map) {
  return with_data(OperationCode::keep_only, map.data(), map.size());
}

Operation chdir(const char* path) { return with_data(OperationCode::chdir, path); }

Operation fchdir(int fd) { return with_fd(OperationCode::fchdir, fd); }

Operation chroot(const char* path) { return with_data(OperationCode::chroot, path); }

Operation umask(mode_t mask) {
  Operation o = make(OperationCode::umask);
  o.value = mask;
  return o;
}

Operation setsid() { return make(OperationCode::setsid); }

Operation setpgid(pid_t group) { return with_fd(OperationCode::setpgid, group); }

Operation take_terminal(int fd) { return with_fd(OperationCode::take_terminal, fd); }

Operation drop_terminal() { return make(OperationCode::drop_terminal); }

Operation foreground(int fd) { return with_fd(OperationCode::foreground, fd); }

Operation signal_mask(const sigset_t& mask) {
  return with_signals(OperationCode::signal_mask, mask);
}

Operation signal_default(const sigset_t& signals) {
  return with_signals(OperationCode::signal_default, signals);
}

Operation signal_ignore(const sigset_t& signals) {
  return with_signals(OperationCode::signal_ignore, signals);
}

Operation death_signal(int signal) { return with_fd(OperationCode::death_signal, signal); }

Operation user(uid_t real, uid_t effective, uid_t saved) {
  Operation o = with_fd(OperationCode::user, static_cast<int>(real), static_cast<int>(effective));
  o.value = saved;
  return o;
}

Operation group(gid_t real, gid_t effective, gid_t saved) {
  Operation o = with_fd(OperationCode::group, static_cast<int>(real), static_cast<int>(effective));
  o.value = saved;
  return o;
}

Operation groups(std::span<const gid_t> supplementary) {
  return with_data(OperationCode::groups, supplementary.data(), supplementary.size());
}

Operation reset_ids() { return make(OperationCode::reset_ids); }

Operation ambient_capability(int capability) {
  return with_fd(OperationCode::ambient_capability, capability);
}

Operation no_new_privileges() { return make(OperationCode::no_new_privileges); }

Operation id_maps(const char* uid_map, const char* gid_map) {
  Operation o = with_data(OperationCode::id_maps, uid_map);
  o.extra = gid_map;
  return o;
}

Operation limit(int resource, const rlimit& limit) {
  Operation o = with_fd(OperationCode::limit, resource);
  o.value = limit.rlim_cur;
  o.more = limit.rlim_max;
  return o;
}

Operation nice(int value) { return with_fd(OperationCode::nice, value); }

Operation scheduler(int policy, int priority) {
  return with_fd(OperationCode::scheduler, policy, priority);
}

Operation affinity(const cpu_set_t& processors) {
  return with_data(OperationCode::affinity, &processors, sizeof processors);
}

Operation oom_score(int adjustment) { return with_fd(OperationCode::oom_score, adjustment); }

Operation cgroup(int directory) { return with_fd(OperationCode::cgroup, directory); }

Operation unshare(int namespaces) { return with_fd(OperationCode::unshare, namespaces); }

Operation seccomp(const sock_fprog& filter, unsigned flags) {
  Operation o = with_data(OperationCode::seccomp, &filter);
  o.value = flags;
  return o;
}

Operation landlock(int ruleset) { return with_fd(OperationCode::landlock, ruleset); }

Operation trace_me() { return make(OperationCode::trace_me); }

}  // namespace op
}  // namespace prewarm
