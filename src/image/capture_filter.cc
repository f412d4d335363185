// SPDX-License-Identifier: MIT
#include "image/capture_filter.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <vector>

namespace prewarm::image {
namespace {

// Calls that go on whatever their arguments are: those of ld.so, and mremap, execve and exit, which
// the capture itself makes.
constexpr int kUnseen[] = {SYS_read,   SYS_pread64, SYS_fstat,     SYS_mprotect,  SYS_munmap,
                           SYS_mremap, SYS_execve,  SYS_execveat,  SYS_lseek,     SYS_uname,
                           SYS_getcwd, SYS_madvise, SYS_prlimit64, SYS_exit_group};

constexpr sock_filter load(std::size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(offset));
}

// The word is `value`: the next `skip` instructions are left out, or else not.
constexpr sock_filter skip_unless(unsigned value, unsigned char skip) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip);
}

constexpr sock_filter kGoOn = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
constexpr sock_filter kStop = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);

}  // namespace

os::Result<void> install_capture_filter() {
  constexpr std::size_t kFirst = offsetof(seccomp_data, args);
  std::vector<sock_filter> program = {
      load(offsetof(seccomp_data, nr)),
      // A mapping at an address that ld.so has chosen itself lies within one that it was given.
      skip_unless(SYS_mmap, 6), load(kFirst), skip_unless(0, 3), load(kFirst + 4),
      skip_unless(0, 1), kStop, kGoOn,
      // By descriptor.
      skip_unless(SYS_newfstatat, 4), load(kFirst), skip_unless(static_cast<unsigned>(AT_FDCWD), 1),
      kStop, kGoOn};
  for (const int number : kUnseen) {
    program.push_back(skip_unless(static_cast<unsigned>(number), 1));
    program.push_back(kGoOn);
  }
  program.push_back(kStop);
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    return os::failed("filter system calls");
  }
  return {};
}

}  // namespace prewarm::image
