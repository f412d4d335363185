// SPDX-License-Identifier: MIT
//
// The C interface: operations, one function for each of op::.
#include <sched.h>

#include <span>

#include "cold/c_api.h"

using prewarm::CloneOptions;
using prewarm::Inherited;
using prewarm::Operation;
using prewarm::OperationCode;
namespace op = prewarm::op;

namespace {

// What both forms call by the same names.
template <class From, class To>
void copy_arguments(const From& from, To& to) {
  to.user_data = from.user_data;
  to.fd = from.fd;
  to.other = from.other;
  to.value = from.value;
  to.more = from.more;
  to.data = from.data;
  to.extra = from.extra;
  to.size = from.size;
}

prewarm_operation to_c(const Operation& from) {
  prewarm_operation to{};
  to.code = static_cast<std::uint32_t>(from.code);
  to.flags = (from.linked ? PREWARM_LINK : 0) | (from.hard_linked ? PREWARM_HARD_LINK : 0);
  copy_arguments(from, to);
  return to;
}

// What prewarm_ring_push refuses, for arguments that can't be looked at.
prewarm_operation no_operation() {
  prewarm_operation none{};
  none.code = UINT32_MAX;
  return none;
}

static_assert(PREWARM_OP_CLONE == static_cast<int>(OperationCode::clone));
static_assert(PREWARM_OP_KEEP_ONLY == static_cast<int>(OperationCode::keep_only));
static_assert(PREWARM_OP_DEATH_SIGNAL == static_cast<int>(OperationCode::death_signal));
static_assert(PREWARM_OP_ID_MAPS == static_cast<int>(OperationCode::id_maps));
static_assert(PREWARM_OP_TRACE_ME == static_cast<int>(OperationCode::trace_me));
static_assert(sizeof(prewarm_inherited) == sizeof(Inherited));

}  // namespace

namespace prewarm::cold {

Operation from_c(const prewarm_operation& from) {
  Operation to;
  to.code = static_cast<OperationCode>(from.code);
  to.linked = (from.flags & (PREWARM_LINK | PREWARM_HARD_LINK)) != 0;
  to.hard_linked = (from.flags & PREWARM_HARD_LINK) != 0;
  copy_arguments(from, to);
  return to;
}

bool is_operation(const prewarm_operation& operation) {
  const auto& [first, second] = operation.reserved;
  return operation.code <= PREWARM_OP_TRACE_ME && first == 0 && second == 0 &&
         (operation.flags & ~(PREWARM_LINK | PREWARM_HARD_LINK)) == 0;
}

}  // namespace prewarm::cold

prewarm_operation prewarm_op_clone(const prewarm_clone_options* given) {
  const auto options =
      prewarm::cold::take_options(given, prewarm_clone_options PREWARM_CLONE_OPTIONS_INIT);
  CloneOptions clone;
  clone.namespaces = options.namespaces;
  clone.cgroup = options.cgroup;
  clone.pidfd = options.pidfd != 0;
  clone.detached = options.detached != 0;
  clone.exit_signal = options.exit_signal;
  return to_c(op::clone(clone));
}

prewarm_operation prewarm_op_exec(const char* path, char* const argv[], char* const env[]) {
  return to_c(op::exec(path, argv, env));
}

prewarm_operation prewarm_op_exec_fd(int fd, char* const argv[], char* const env[]) {
  return to_c(op::exec_fd(fd, argv, env));
}

prewarm_operation prewarm_op_open(int fd, const char* path, int flags, mode_t mode) {
  return to_c(op::open(fd, path, flags, mode));
}

prewarm_operation prewarm_op_dup(int from, int to) { return to_c(op::dup(from, to)); }

prewarm_operation prewarm_op_close(int fd) { return to_c(op::close(fd)); }

prewarm_operation prewarm_op_close_range(unsigned first, unsigned last) {
  return to_c(op::close_range(first, last));
}

prewarm_operation prewarm_op_keep_only(const prewarm_inherited* map, size_t count) {
  // The same two ints.
  return to_c(op::keep_only(std::span(reinterpret_cast<const Inherited*>(map), count)));
}

prewarm_operation prewarm_op_chdir(const char* path) { return to_c(op::chdir(path)); }

prewarm_operation prewarm_op_fchdir(int fd) { return to_c(op::fchdir(fd)); }

prewarm_operation prewarm_op_chroot(const char* path) { return to_c(op::chroot(path)); }

prewarm_operation prewarm_op_umask(mode_t mask) { return to_c(op::umask(mask)); }

prewarm_operation prewarm_op_setsid() { return to_c(op::setsid()); }

prewarm_operation prewarm_op_setpgid(pid_t group) { return to_c(op::setpgid(group)); }

prewarm_operation prewarm_op_take_terminal(int fd) { return to_c(op::take_terminal(fd)); }

prewarm_operation prewarm_op_drop_terminal() { return to_c(op::drop_terminal()); }

prewarm_operation prewarm_op_foreground(int fd) { return to_c(op::foreground(fd)); }

prewarm_operation prewarm_op_signal_mask(const sigset_t* mask) {
  return mask != nullptr ? to_c(op::signal_mask(*mask)) : no_operation();
}

prewarm_operation prewarm_op_signal_default(const sigset_t* signals) {
  return signals != nullptr ? to_c(op::signal_default(*signals)) : no_operation();
}

prewarm_operation prewarm_op_signal_ignore(const sigset_t* signals) {
  return signals != nullptr ? to_c(op::signal_ignore(*signals)) : no_operation();
}

prewarm_operation prewarm_op_death_signal(int signal) { return to_c(op::death_signal(signal)); }

prewarm_operation prewarm_op_user(uid_t real, uid_t effective, uid_t saved) {
  return to_c(op::user(real, effective, saved));
}

prewarm_operation prewarm_op_group(gid_t real, gid_t effective, gid_t saved) {
  return to_c(op::group(real, effective, saved));
}

prewarm_operation prewarm_op_groups(const gid_t* supplementary, size_t count) {
  return to_c(op::groups(std::span(supplementary, count)));
}

prewarm_operation prewarm_op_reset_ids() { return to_c(op::reset_ids()); }

prewarm_operation prewarm_op_ambient_capability(int capability) {
  return to_c(op::ambient_capability(capability));
}

prewarm_operation prewarm_op_no_new_privileges() { return to_c(op::no_new_privileges()); }

prewarm_operation prewarm_op_id_maps(const char* uid_map, const char* gid_map) {
  return to_c(op::id_maps(uid_map, gid_map));
}

prewarm_operation prewarm_op_limit(int resource, rlim_t soft, rlim_t hard) {
  return to_c(op::limit(resource, {soft, hard}));
}

prewarm_operation prewarm_op_nice(int value) { return to_c(op::nice(value)); }

prewarm_operation prewarm_op_scheduler(int policy, int priority) {
  return to_c(op::scheduler(policy, priority));
}

prewarm_operation prewarm_op_affinity(size_t size, const void* processors) {
  if (processors == nullptr || size != sizeof(cpu_set_t)) return no_operation();
  return to_c(op::affinity(*static_cast<const cpu_set_t*>(processors)));
}

prewarm_operation prewarm_op_oom_score(int adjustment) { return to_c(op::oom_score(adjustment)); }

prewarm_operation prewarm_op_cgroup(int directory) { return to_c(op::cgroup(directory)); }

prewarm_operation prewarm_op_unshare(int namespaces) { return to_c(op::unshare(namespaces)); }

prewarm_operation prewarm_op_seccomp(const sock_fprog* filter, unsigned flags) {
  return filter != nullptr ? to_c(op::seccomp(*filter, flags)) : no_operation();
}

prewarm_operation prewarm_op_landlock(int ruleset) { return to_c(op::landlock(ruleset)); }

prewarm_operation prewarm_op_trace_me() { return to_c(op::trace_me()); }
