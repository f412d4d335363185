// SPDX-License-Identifier: MIT
#include "image/sandbox.h"

#include <arpa/inet.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "image/spawner.h"
#include "os/testing.h"

namespace prewarm::image {
namespace {

// What a process in the sandbox can do. Each check is 0, or says which has failed.
class Sandbox : public os::LeavesNothing {
 protected:
  Sandbox() {
    os::write_file(outside_ / "secret", "x");
    options_.read_directories = library_directories();
    options_.write_directories = {inside_.path()};
  }

  template <class Function>
  int status_inside(Function function) {
    os::Child child([&] {
      const auto report = enter_sandbox(options_);
      if (!report) return 100;
      if (report->landlock == 0 || !report->seccomp) return 101;
      return function();
    });
    const int status = child.wait();
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  void expect(int status) {
    if (status == 101) GTEST_SKIP() << "the kernel has no Landlock or no seccomp";
    EXPECT_EQ(status, 0);
  }
  static bool opens(const std::string& path, int flags) {
    return os::Fd(::open(path.c_str(), flags | O_CLOEXEC, 0600)).valid();
  }

  const os::TempDirectory inside_, outside_;
  SandboxOptions options_;
};

#if !PREWARM_SANITIZED  // its runtime makes system calls of its own

TEST_F(Sandbox, FilesAreThoseOfLibraries) {
  expect(status_inside([this] {
    if (!opens("/usr/bin/env", O_RDONLY)) return 1;
    if (opens("/etc/passwd", O_RDONLY)) return 2;
    if (opens(outside_ / "secret", O_RDONLY)) return 3;
    if (opens(outside_ / "new", O_WRONLY | O_CREAT)) return 4;
    if (opens("/usr/bin/new", O_WRONLY | O_CREAT)) return 5;
    if (!opens(inside_ / "new", O_RDWR | O_CREAT)) return 6;
    if (::rename((inside_ / "new").c_str(), (inside_ / "newer").c_str()) != 0) return 7;
    if (::truncate((outside_ / "secret").c_str(), 0) == 0) return 8;
    if (::unlink((outside_ / "secret").c_str()) == 0) return 9;
    if (::unlink((inside_ / "newer").c_str()) != 0) return 10;
    struct stat s;
    return ::stat((outside_ / "secret").c_str(), &s) == 0 ? 0 : 11;  // is to be noticed
  }));
}

TEST_F(Sandbox, NothingElseIsStartedOrReached) {
  expect(status_inside([] {
    char* const argv[] = {nullptr};
    ::execve("/usr/bin/true", argv, argv);
    if (errno != EPERM) return 1;
    if (::socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM) return 2;
    if (::socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EPERM) return 3;
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 || errno != EPERM) return 4;
    if (::syscall(SYS_io_uring_setup, 1, nullptr) >= 0 || errno != EPERM) return 5;
    if (::kill(::getppid(), 0) == 0 || errno != EPERM) return 6;
    if (::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
        MAP_FAILED) {
      return 7;
    }
    if (::syscall(SYS_clone, 0x10000000 /* CLONE_NEWUSER */, 0, 0, 0, 0) >= 0) return 8;
    // Helpers.
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    return child > 0 && ::waitpid(child, nullptr, 0) == child ? 0 : 9;
  }));
}

TEST_F(Sandbox, ViolationsCanEndTheProcess) {
  options_.kill = true;
  const int status = status_inside([] { return ::socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 1 : 2; });
  if (status == 101) GTEST_SKIP();
  EXPECT_EQ(status, -SIGSYS);
}

TEST_F(Sandbox, SpawnerOpensCodeAndNothingElse) {
  os::write_file(outside_ / "program", os::read_file("/proc/self/exe").substr(0, 4096));
  ASSERT_EQ(::symlink("program", (outside_ / "link").c_str()), 0);
  ASSERT_EQ(::mkfifo((outside_ / "fifo").c_str(), 0600), 0);
  os::Child service([this] {  // the spawner is its child, and nobody's afterwards
    const auto spawner = SpawnerClient::start({});
    if (!spawner || !enter_sandbox(options_)) return 1;
    const auto open = [&](const std::string& path) {
      return SpawnerClient::open_file(spawner->opener(), path).valid();
    };
    if (!open(outside_ / "program") || !open(outside_ / "link")) return 2;
    if (open(outside_ / "secret") || open(outside_ / "fifo") || open(outside_ / "none")) return 3;
    if (open("/etc/passwd") || open("/dev/zero") || open("relative") || open("")) return 4;
    return open(outside_ / "program") ? 0 : 5;
  });
  EXPECT_EQ(service.wait(), 0);
}

#endif

TEST(SandboxReport, IsForPeople) {
  SandboxReport report;
  report.notes = {"why"};
  EXPECT_EQ(report.text(),
            "no_new_privs: no\nLandlock: no\nTCP denied by Landlock: no\n"
            "signals to others denied by Landlock: no\nseccomp: no\nnote: why\n");
}

}  // namespace
}  // namespace prewarm::image
