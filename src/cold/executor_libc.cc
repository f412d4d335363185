// SPDX-License-Identifier: MIT
#include "cold/executor_libc.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <cerrno>

#include "cold/executor.h"
#include "os/raw_syscall.h"

namespace prewarm::cold::libc {
namespace {

using os::arg;
using os::raw_syscall;

long close(int fd) {
  const long r = raw_syscall(SYS_close, fd);
  if (r >= 0) return 0;
  rlimit64 limit{};
  raw_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, arg(&limit));
  return fd < 0 || static_cast<std::uint64_t>(fd) >= limit.rlim_cur ? r : 0;
}

long open(int fd, const char* path, int flags, std::uint64_t mode) {
  raw_syscall(SYS_close, fd);
  const long opened = raw_syscall(SYS_openat, AT_FDCWD, arg(path), flags, static_cast<long>(mode));
  if (opened < 0 || opened == fd) return opened < 0 ? opened : 0;
  const long r = raw_syscall(SYS_dup3, opened, fd, 0);
  raw_syscall(SYS_close, opened);
  return r < 0 ? r : 0;
}

long exec_once(const Chain& chain, const char* name, const void* argv, char* const* env) {
  Operation o;
  o.code = OperationCode::exec;
  o.data = name;
  o.extra = argv;
  o.more = word(env);
  return executor::execute(chain, o);
}

long exec(const Chain& chain, ExecRequest& request) {
  while (const char* const name = request.search.next()) {
    long r = exec_once(chain, name, request.argv, request.env);
    if (r == -ENOEXEC && request.script != nullptr) {
      request.script[1] = name;
      r = exec_once(chain, kShell, request.script, request.env);
    }
    if (!request.search.goes_on_after(static_cast<int>(-r))) break;
  }
  return -request.search.error();
}

}  // namespace

long perform(const Chain& chain, const Operation& o) {
  if (o.code == kClose) return close(o.fd);
  if (o.code == kOpen) return open(o.fd, static_cast<const char*>(o.data), o.other, o.value);
  if (o.code == kExec) {
    return exec(chain, *static_cast<ExecRequest*>(const_cast<void*>(o.data)));
  }
  return -EINVAL;
}

}  // namespace prewarm::cold::libc
