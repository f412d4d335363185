// SPDX-License-Identifier: MIT
//
// Who a program is, what it may do, and what confines it.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <sstream>

#include "cold/testing.h"

namespace prewarm::cold {
namespace {

constexpr uid_t kNobody = 65534;

#define SKIP_UNLESS_ROOT() \
  if (::geteuid() != 0) GTEST_SKIP() << "only root may change what it is"

class Identity : public RingTest {
 protected:
  // Lines of its /proc/self/status that match.
  std::string status(std::vector<Operation> row, const std::string& pattern,
                     const CloneOptions& options = {}) {
    return program(std::move(row), {"/bin/grep", "-E", pattern, "/proc/self/status"}, options);
  }
};
INSTANTIATE_TEST_SUITE_P(Backends, Identity, executor_kinds(), name_of);

// A filter that answers one system call with an error.
class Filter {
 public:
  Filter(unsigned call, unsigned error)
      : steps_{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
               BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
               BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
               BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)} {}
  sock_fprog program() { return {4, steps_}; }

 private:
  sock_filter steps_[4];
};

TEST_P(Identity, UserAndGroupsAreWhatWasAskedFor) {
  SKIP_UNLESS_ROOT();
  const gid_t groups[] = {7, 8};
  // At exec the saved one becomes the effective one (execve(2)).
  EXPECT_EQ(
      status({op::groups(groups), op::group(4, 5, 6), op::user(1, 2, 3)}, "^(Uid|Gid|Groups):"),
      "Uid:\t1\t2\t2\t2\nGid:\t4\t5\t5\t5\nGroups:\t7 8 \n");
  EXPECT_EQ(status({op::groups({}), op::user(-1, 2, -1)}, "^(Uid|Groups):"),
            "Uid:\t0\t2\t2\t2\nGroups:\t \n");
}

TEST_P(Identity, TheSubmitterStaysWhoItIs) {
  SKIP_UNLESS_ROOT();
  EXPECT_EQ(status({op::user(kNobody, kNobody, kNobody)}, "^Uid:"),
            "Uid:\t65534\t65534\t65534\t65534\n");
  EXPECT_EQ(::getuid(), 0U);
  EXPECT_EQ(::geteuid(), 0U);
  // A change of credentials makes the memory that both share undumpable.
  EXPECT_EQ(::prctl(PR_GET_DUMPABLE), 1);
}

TEST_P(Identity, ResetIdsGivesUpWhatIsOnlyEffective) {
  SKIP_UNLESS_ROOT();
  EXPECT_EQ(status({op::group(5, 0, 0), op::user(4, 0, 0), op::reset_ids()}, "^(Uid|Gid):"),
            "Uid:\t4\t4\t4\t4\nGid:\t5\t5\t5\t5\n");
}

TEST_P(Identity, WhoMayNotChangeIsToldSo) {
  SKIP_UNLESS_ROOT();
  const gid_t groups[] = {7};
  const Outcome o = run({op::user(kNobody, kNobody, kNobody), op::user(0, 0, 0).hard_link(),
                         op::group(1, 1, 1).hard_link(), op::groups(groups).hard_link(),
                         op::chroot("/").hard_link(), op::nice(-20).hard_link()});
  EXPECT_EQ(std::vector(o.results.begin() + 2, o.results.end()),
            (std::vector{0, -EPERM, -EPERM, -EPERM, -EPERM, -EACCES}));
}

TEST_P(Identity, AnAmbientCapabilityOutlivesTheChangeOfUser) {
  SKIP_UNLESS_ROOT();
  EXPECT_EQ(status({op::group(kNobody, kNobody, kNobody), op::user(kNobody, kNobody, kNobody),
                    op::ambient_capability(CAP_NET_BIND_SERVICE)},
                   "^(Uid|CapInh|CapPrm|CapEff|CapAmb):"),
            "Uid:\t65534\t65534\t65534\t65534\n"
            "CapInh:\t0000000000000400\nCapPrm:\t0000000000000400\n"
            "CapEff:\t0000000000000400\nCapAmb:\t0000000000000400\n");
  EXPECT_EQ(run({op::ambient_capability(63)}).results[2], -EINVAL)
      << "there is none of that number";
}

TEST_P(Identity, WithoutOneNothingOutlivesTheChangeOfUser) {
  SKIP_UNLESS_ROOT();
  EXPECT_EQ(status({op::user(kNobody, kNobody, kNobody)}, "^Cap(Prm|Eff|Amb):"),
            "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n");
}

// With clone, and by the task itself.
TEST_P(Identity, NamespacesAreNewAndMapped) {
  const std::string user = std::to_string(::geteuid());
  const std::string group = std::to_string(::getegid());
  const std::string users = "0 " + user + " 1";
  const std::string groups = "0 " + group + " 1";
  const Operation maps = op::id_maps(users.c_str(), groups.c_str());
  constexpr int kNamespaces =
      CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP;
  const std::string script =
      "id -u; id -g; cat /proc/self/setgroups; cd /proc/self/ns; "
      "readlink user mnt uts ipc net cgroup";
  CloneOptions options;
  options.namespaces = kNamespaces;
  const std::string here = shell({}, script);
  const std::string cloned = shell({maps}, script, options);
  const std::string unshared = shell({op::unshare(kNamespaces), maps}, script);
  if (cloned.starts_with("operation 1")) GTEST_SKIP() << "no user namespaces: " << cloned;
  const auto lines = [](const std::string& text) {
    std::vector<std::string> all;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
  };
  const std::vector outside = lines(here);
  ASSERT_EQ(outside.size(), 9U) << here;
  for (const std::string& text : {cloned, unshared}) {
    const std::vector inside = lines(text);
    ASSERT_EQ(inside.size(), 9U) << text;
    EXPECT_EQ(std::vector(inside.begin(), inside.begin() + 3),
              (std::vector<std::string>{"0", "0", "deny"}));
    for (std::size_t i = 3; i < 9; ++i) EXPECT_NE(inside[i], outside[i]);
  }
}

TEST_P(Identity, AMapThatTheKernelRefusesIsAnError) {
  CloneOptions options;
  options.namespaces = CLONE_NEWUSER;
  const Outcome o = run({op::id_maps("0 4294967295 1", nullptr)}, options);
  if (o.results[0] < 0) GTEST_SKIP() << "no user namespaces";
  EXPECT_EQ(o.results[2], -EINVAL);
}

// The first process of its namespace has number 1, and outside another; it ends like any other,
// although it doesn't hear signals that it sends itself.
TEST_P(Identity, TheFirstProcessOfAPidNamespaceRunsAndEnds) {
  SKIP_UNLESS_ROOT();
  CloneOptions options;
  options.namespaces = CLONE_NEWPID;
  EXPECT_EQ(shell({}, "echo $$", options), "1\n");
  const Outcome o = run({op::umask(022)}, options);
  EXPECT_GT(o.results[0], 1);
  EXPECT_TRUE(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 128 + SIGKILL) << o.status;
  // Of unshare's namespace the task's first child is it.
  EXPECT_EQ(shell({op::unshare(CLONE_NEWPID)}, "sh -c 'echo $$'"), "1\n");
}

TEST_P(Identity, AFilterIsInForceInTheProgram) {
  const os::TempDirectory files;
  const std::string made = files / "made";
  Filter no_directories(SYS_mkdir, EXDEV);
  const sock_fprog filter = no_directories.program();
  const std::string script = "mkdir " + made + " 2>/dev/null || echo refused";
  EXPECT_EQ(shell({op::no_new_privileges(), op::seccomp(filter)}, script), "refused\n");
  EXPECT_EQ(shell({}, script), "");
}

TEST_P(Identity, AFilterWantsRootOrNoNewPrivileges) {
  SKIP_UNLESS_ROOT();
  Filter some(SYS_mkdir, EXDEV);
  const sock_fprog filter = some.program();
  EXPECT_EQ(run({op::seccomp(filter)}).results[2], 0);
  EXPECT_EQ(run({op::user(kNobody, kNobody, kNobody), op::seccomp(filter)}).results[3], -EACCES);
  EXPECT_EQ(
      status({op::user(kNobody, kNobody, kNobody), op::no_new_privileges(), op::seccomp(filter)},
             "^(NoNewPrivs|Seccomp):"),
      "NoNewPrivs:\t1\nSeccomp:\t2\n");
  EXPECT_EQ(run({op::no_new_privileges(), op::seccomp(filter, ~0U)}).results[3], -EINVAL);
}

TEST_P(Identity, AFilterIsInForceInTheRestOfTheChain) {
  Filter no_exec(SYS_execve, ENOMEM);
  Filter no_kill(SYS_kill, EPERM);
  const sock_fprog first = no_exec.program();
  const sock_fprog second = no_kill.program();
  char name[] = "true";
  char* argv[] = {name, nullptr};
  const Outcome o = run({op::no_new_privileges(), op::seccomp(first), op::seccomp(second),
                         op::exec("/bin/true", argv, environ)});
  EXPECT_EQ(o.results[5], -ENOMEM);
  EXPECT_TRUE(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 128 + SIGKILL) << o.status;
}

// A task that ends asks for its number, and sends a signal there. With a number that a filter has
// forged the signal would reach everybody whom it may (-1) or its group (0). Here that is the
// witness: all this happens in a pid namespace and a session of its own.
TEST_P(Identity, AForgedPidHitsNobody) {
  SKIP_UNLESS_ROOT();
  const auto first_of_namespace = [this] {
    if (::setsid() < 0) return 1;
    renew();
    const os::Pipe end = os::make_pipe();
    os::Child witness([&end] { return os::wait_readable(end.read.get()) ? 7 : 8; });
    for (const unsigned forged : {unsigned{EPERM}, 0U}) {
      Filter lies(SYS_getpid, forged);
      const sock_fprog filter = lies.program();
      const Operation row[] = {op::clone(), op::seccomp(filter)};
      if (!ring().push_chain(row) || !ring().submit()) return 2;
      const auto all = take_all(ring());
      if (all.size() != 2 || all[1].result != 0) return 3;
      const int status = os::wait_for(all[0].result);
      if (!WIFEXITED(status) || WEXITSTATUS(status) != 128 + SIGKILL) return 4;
    }
    os::write_value(end.write.get(), 'x');
    const int status = witness.wait();
    return WIFEXITED(status) && WEXITSTATUS(status) == 7 ? 0 : 5;
  };
  const std::string said = in_child([&first_of_namespace]() -> std::string {
    if (::unshare(CLONE_NEWPID) != 0) return "0";
    return std::to_string(os::Child(first_of_namespace).wait());
  });
  EXPECT_EQ(said, "0");
}

TEST_P(Identity, LandlockConfinesTheProgram) {
  const os::TempDirectory files;
  landlock_ruleset_attr handled{};
  handled.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_DIR;
  const Fd ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0)));
  if (!ruleset.valid()) GTEST_SKIP() << "this kernel has no landlock";
  ASSERT_NE(::fcntl(ruleset.get(), F_SETFD, FD_CLOEXEC), -1);
  const std::string script = "cd " + files.path() + "; mkdir no 2>/dev/null; echo $?; ls";
  EXPECT_EQ(shell({op::no_new_privileges(), op::landlock(ruleset.get())}, script), "1\n");
  EXPECT_EQ(shell({}, script), "0\nno\n");
  EXPECT_EQ(run({op::no_new_privileges(), op::landlock(0)}).results[3], -EBADFD);
}

TEST_P(Identity, TheNewRootIsAlsoWhereItIs) {
  SKIP_UNLESS_ROOT();
  // The loader is a program without needs, and says whether it finds one at a path.
  constexpr char kLoader[] = "/lib64/ld-linux-x86-64.so.2";
  const Fd loader(::open(kLoader, O_RDONLY | O_CLOEXEC));
  if (!loader.valid()) GTEST_SKIP() << "no " << kLoader;
  const os::TempDirectory files;
  std::filesystem::copy_file("/bin/true", files / "found");
  for (const char* path : {"/found", "./found"}) {
    std::string words[] = {"loader", "--verify", path};
    char* argv[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    const Operation exec = op::exec_fd(loader.get(), argv, environ);
    const Outcome inside = run({op::chroot(files.path().c_str()), exec});
    EXPECT_EQ(inside.results[3], 0);
    EXPECT_EQ(inside.status, 0);
    EXPECT_NE(run({exec}).status, 0);
  }
  EXPECT_EQ(run({op::chroot("/nonexistent")}).results[2], -ENOENT);
}

// The thread that submits traces, and makes the program go on after its exec.
TEST_P(Identity, ATracedProgramStopsAtItsExec) {
  if (GetParam().own_task) GTEST_SKIP() << "the ring's thread would be the tracer";
  char name[] = "true";
  char* argv[] = {name, nullptr};
  const Operation row[] = {op::clone().tag(0), op::trace_me().tag(1),
                           op::exec("/bin/true", argv, environ).tag(2)};
  ASSERT_TRUE(ring().push_chain(row));
  ASSERT_TRUE(ring().submit());
  const auto all = take_all(ring());
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[1].result, 0);
  EXPECT_EQ(all[2].result, 0);
  int status = 0;
  ASSERT_EQ(::waitpid(all[0].result, &status, 0), all[0].result);
  ASSERT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) << status;
  ASSERT_EQ(::ptrace(PTRACE_CONT, all[0].result, nullptr, nullptr), 0);
  EXPECT_EQ(os::wait_for(all[0].result), 0);
}

}  // namespace
}  // namespace prewarm::cold
