// SPDX-License-Identifier: MIT
//
// posix_spawn does its attributes first, all file actions after them in their order, and then one
// exec. A chain of that form, with plain links, it can run. What went wrong it tells by one errno,
// not where; so if it fails, clone and the exec that was tried have that errno, and all else is
// cancelled.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>

#include <cerrno>
#include <cstring>

#include "cold/backend.h"
#include "os/process.h"

namespace prewarm::cold {
namespace {

sigset_t as_sigset(std::uint64_t signals) {
  sigset_t set;
  ::sigemptyset(&set);
  std::memcpy(&set, &signals, sizeof signals);
  return set;
}

class Call {
 public:
  Call() {
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawn_file_actions_init(&actions_);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }

  // 0; EOPNOTSUPP if it can't be expressed, here; or what the C library says.
  int add(const Operation& o) {
    if (o.hard_linked) return EOPNOTSUPP;
    const int as_action = add_action(o);
    if (as_action != EOPNOTSUPP) {
      has_actions_ = true;
      return as_action;
    }
    return add_attribute(o);
  }

  // 0 or errno.
  int run(const Operation& exec, std::uint64_t default_mask, pid_t& pid) {
    const sigset_t mask = as_sigset(has_mask_ ? mask_ : default_mask);
    ::posix_spawnattr_setsigmask(&attributes_, &mask);
    ::posix_spawnattr_setflags(&attributes_, static_cast<short>(flags_ | POSIX_SPAWN_SETSIGMASK));
    return ::posix_spawn(&pid, static_cast<const char*>(exec.data), &actions_, &attributes_,
                         static_cast<char* const*>(exec.extra), pointer<char* const>(exec.more));
  }

 private:
  int add_action(const Operation& o) {
    const auto* path = static_cast<const char*>(o.data);
    switch (o.code) {
      case OperationCode::open:
        if ((o.other & O_CLOEXEC) != 0) return EOPNOTSUPP;
        return ::posix_spawn_file_actions_addopen(&actions_, o.fd, path, o.other,
                                                  static_cast<mode_t>(o.value));
      case OperationCode::dup:
        return ::posix_spawn_file_actions_adddup2(&actions_, o.fd, o.other);
      case OperationCode::close:
        return ::posix_spawn_file_actions_addclose(&actions_, o.fd);
      case OperationCode::close_range:
        if (static_cast<unsigned>(o.more) != ~0U) return EOPNOTSUPP;
        return ::posix_spawn_file_actions_addclosefrom_np(&actions_, static_cast<int>(o.value));
      case OperationCode::chdir:
        return ::posix_spawn_file_actions_addchdir_np(&actions_, path);
      case OperationCode::fchdir:
        return ::posix_spawn_file_actions_addfchdir_np(&actions_, o.fd);
      case OperationCode::foreground:
        return ::posix_spawn_file_actions_addtcsetpgrp_np(&actions_, o.fd);
      default:
        return EOPNOTSUPP;
    }
  }

  int add_attribute(const Operation& o) {
    // These two have no influence on actions; all others come before them.
    if (o.code == OperationCode::signal_mask) {
      has_mask_ = true;
      mask_ = o.value;
      return 0;
    }
    if (o.code == OperationCode::signal_default) {
      const sigset_t set = as_sigset(defaults_ |= o.value);
      flags_ |= POSIX_SPAWN_SETSIGDEF;
      return ::posix_spawnattr_setsigdefault(&attributes_, &set);
    }
    if (has_actions_) return EOPNOTSUPP;
    switch (o.code) {
      case OperationCode::setsid:
        flags_ |= POSIX_SPAWN_SETSID;
        return 0;
      case OperationCode::setpgid:
        flags_ |= POSIX_SPAWN_SETPGROUP;
        return ::posix_spawnattr_setpgroup(&attributes_, o.fd);
      case OperationCode::reset_ids:
        flags_ |= POSIX_SPAWN_RESETIDS;
        return 0;
      case OperationCode::scheduler: {
        const sched_param parameters{o.other};
        flags_ |= POSIX_SPAWN_SETSCHEDULER;
        const int error = ::posix_spawnattr_setschedpolicy(&attributes_, o.fd);
        return error != 0 ? error : ::posix_spawnattr_setschedparam(&attributes_, &parameters);
      }
      default:
        return EOPNOTSUPP;
    }
  }

  posix_spawnattr_t attributes_;
  posix_spawn_file_actions_t actions_;
  int flags_ = 0;
  bool has_actions_ = false;
  bool has_mask_ = false;
  std::uint64_t mask_ = 0;
  std::uint64_t defaults_ = 0;
};

Started failed(int error) { return {-error, Fd(), false}; }

bool is_plain(const Operation& clone) {
  return clone.value == 0 && clone.fd < 0 && clone.other == SIGCHLD;
}

}  // namespace

Started start_posix_spawn(Chain& chain) {
  const Operation& clone = chain.operations[0].what;
  if (!is_plain(clone)) return failed(EOPNOTSUPP);
  Call call;
  std::uint32_t i = 1;
  for (; i < chain.count && !is_exec(chain.operations[i].what.code); ++i) {
    PlannedOperation& o = chain.operations[i];
    if (const int error = call.add(o.what); error != 0) {
      o.result = -error;
      return failed(error);
    }
  }
  const std::uint32_t first_exec = i;
  int error = EOPNOTSUPP;  // a chain without an exec, too
  for (; i < chain.count; ++i) {
    PlannedOperation& o = chain.operations[i];
    pid_t pid = -1;
    error =
        o.what.code == OperationCode::exec ? call.run(o.what, chain.signal_mask, pid) : EOPNOTSUPP;
    o.result = -error;
    if (error == 0) {
      for (std::uint32_t done = 1; done < first_exec; ++done) chain.operations[done].result = 0;
      chain.pid.store(pid);
      const bool wants_pidfd = (clone.more & kWantsPidfd) != 0;
      return {pid, wants_pidfd ? os::watch(pid) : Fd(), false};
    }
    if (o.what.hard_linked) break;
  }
  return failed(error);
}

}  // namespace prewarm::cold
