// SPDX-License-Identifier: MIT
#include "image/sandbox_seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cstdint>
#include <vector>

namespace prewarm::image {
namespace {

// Whatever the arguments. Nothing that starts another program, looks into another process, makes a
// socket that leads out, or changes who this process is.
constexpr int kAllowed[] = {
    // What each request takes, first: the list is tried in this order.
    SYS_epoll_wait,
    SYS_poll,
    SYS_recvmsg,
    SYS_sendmsg,
    SYS_accept4,
    SYS_getsockopt,
    SYS_fstat,
    SYS_newfstatat,
    SYS_waitid,
    SYS_epoll_ctl,
    SYS_close,
    SYS_read,
    SYS_geteuid,
    // Files: Landlock says which.
    SYS_open,
    SYS_openat,
    SYS_stat,
    SYS_lstat,
    SYS_statx,
    SYS_write,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_lseek,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fsync,
    SYS_fdatasync,
    SYS_copy_file_range,
    SYS_sendfile,
    SYS_fcntl,
    SYS_flock,
    SYS_getdents64,
    SYS_rename,
    SYS_renameat,
    SYS_renameat2,
    SYS_unlink,
    SYS_unlinkat,
    SYS_rmdir,
    SYS_mkdir,
    SYS_mkdirat,
    SYS_fchmod,
    SYS_utimensat,
    SYS_readlink,
    SYS_readlinkat,
    SYS_access,
    SYS_faccessat,
    SYS_statfs,
    SYS_fstatfs,
    SYS_fadvise64,
    SYS_umask,
    SYS_getcwd,
    SYS_memfd_create,
    SYS_dup,
    SYS_close_range,
    // Watching.
    SYS_inotify_add_watch,
    SYS_inotify_rm_watch,
    SYS_epoll_pwait,
    SYS_ppoll,
    SYS_pidfd_open,
    // Memory.
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_futex,
    // The process itself.
    SYS_exit,
    SYS_exit_group,
    SYS_wait4,
    SYS_getpid,
    SYS_gettid,
    SYS_getuid,
    SYS_getrandom,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_restart_syscall,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_sched_yield,
};

constexpr std::uint32_t kNumber = offsetof(seccomp_data, nr);
constexpr std::uint32_t kArchitecture = offsetof(seccomp_data, arch);
// The lower half of an argument, as far as int and flags go.
constexpr std::uint32_t argument(unsigned n) {
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + n * sizeof(std::uint64_t));
}

class Filter {
 public:
  void load(std::uint32_t offset) { add(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0); }
  void give(std::uint32_t result) { add(BPF_RET | BPF_K, result, 0, 0); }
  // The call, if the number is this one.
  void give_for(int number, std::uint32_t result) {
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 1);
    give(result);
  }
  // The call is allowed if its argument has none of the bits; else `otherwise`.
  void give_without_bits(int number, unsigned n, std::uint32_t bits, std::uint32_t otherwise) {
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 4);
    load(argument(n));
    add(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
    give(otherwise);
    give(SECCOMP_RET_ALLOW);
  }
  void give_equal(int number, unsigned n, std::uint32_t value, std::uint32_t otherwise) {
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 4);
    load(argument(n));
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
    give(otherwise);
    give(SECCOMP_RET_ALLOW);
  }
  void require_architecture(std::uint32_t value) {
    load(kArchitecture);
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
    give(SECCOMP_RET_KILL_PROCESS);
  }
  sock_fprog program() { return {static_cast<unsigned short>(code_.size()), code_.data()}; }

 private:
  void add(unsigned code, std::uint32_t k, unsigned char yes, unsigned char no) {
    code_.push_back({static_cast<std::uint16_t>(code), yes, no, k});
  }
  std::vector<sock_filter> code_;
};

Filter make_filter(std::uint32_t denied) {
  constexpr std::uint32_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                           CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                           CLONE_NEWNET;
  Filter filter;
  filter.require_architecture(AUDIT_ARCH_X86_64);  // x32's numbers aren't on the list
  filter.load(kNumber);
  for (const int number : kAllowed) filter.give_for(number, SECCOMP_RET_ALLOW);
  filter.give_without_bits(SYS_mmap, 2, PROT_EXEC, denied);
  filter.give_without_bits(SYS_mprotect, 2, PROT_EXEC, denied);
  filter.give_without_bits(SYS_clone, 0, kNewNamespaces, denied);
  filter.give_for(SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
  filter.give_equal(SYS_socketpair, 0, AF_UNIX, denied);
  filter.give_equal(SYS_setsockopt, 1, SOL_SOCKET, denied);
  filter.give_equal(SYS_pidfd_send_signal, 1, SIGKILL, denied);  // to helpers
  filter.give(denied);
  return filter;
}

}  // namespace

int enter_seccomp(bool kill) {
  Filter filter = make_filter(kill ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM);
  sock_fprog program = filter.program();
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0 ? 0 : errno;
}

}  // namespace prewarm::image
