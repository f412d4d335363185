// SPDX-License-Identifier: MIT
//
// posix_spawn where the newer system calls are missing, as on an old kernel or in a sandbox.
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "cold/testing/posix_spawn.h"

namespace prewarm::cold {
namespace {

struct Masked {
  const char* name;
  unsigned call;
  unsigned error;
};
void PrintTo(const Masked& masked, std::ostream* out) { *out << masked.name; }

// For good, so only in a process of its own.
bool mask(const Masked& masked) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0 /* seccomp_data.nr */),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, masked.call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | masked.error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{4, program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

class PosixSpawnMaskedTest : public testing::TestWithParam<Masked> {};

INSTANTIATE_TEST_SUITE_P(Without, PosixSpawnMaskedTest,
                         testing::Values(Masked{"Clone3", SYS_clone3, ENOSYS},
                                         Masked{"Clone3Permitted", SYS_clone3, EPERM},
                                         Masked{"CloseRange", SYS_close_range, ENOSYS},
                                         Masked{"CloseRangePermitted", SYS_close_range, EPERM}),
                         [](const auto& by) { return std::string(by.param.name); });

TEST_P(PosixSpawnMaskedTest, WorksAllTheSame) {
  const os::TempDirectory directory;
  const os::Fd full(::open("/dev/full", O_RDONLY));
  os::Child child([&] {
    if (!mask(GetParam())) return 1;
    if (::syscall(GetParam().call, -1L, -1L, -1L) != -1) return 2;
    if (errno != static_cast<int>(GetParam().error)) return 3;
    ::signal(SIGHUP, [](int) {});
    ::signal(SIGUSR1, SIG_IGN);
    Objects objects;
    posix_spawn_file_actions_addclosefrom_np(&objects.actions, 3);
    posix_spawn_file_actions_addopen(&objects.actions, 30, "/dev/zero", O_RDONLY, 0);
    const Observed seen = observe(kOurs, objects, directory / "report");
    if (seen.error != 0) return 100 + seen.error;
    if (seen.mentions("/dev/full") || !seen.mentions("/dev/zero")) return 4;
    if (seen.mentions("signal " + std::to_string(SIGHUP) + " ")) return 5;
    if (!seen.has("signal " + std::to_string(SIGUSR1) + " ignored")) return 6;
    posix_spawn_file_actions_addchdir_np(&objects.actions, "/nonexistent");
    if (observe(kOurs, objects, directory / "report").error != ENOENT) return 7;
    return os::is_childless() ? 0 : 8;
  });
  EXPECT_EQ(child.wait(), 0);
}

}  // namespace
}  // namespace prewarm::cold
