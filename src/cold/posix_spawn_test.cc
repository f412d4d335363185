// SPDX-License-Identifier: MIT
//
// Each test runs by our posix_spawn and by the C library's: what it expects is what both do.
#include "cold/posix_spawn.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <array>
#include <thread>

#include "cold/testing/posix_spawn.h"

namespace prewarm::cold {
namespace {

using os::Fd;
using os::TempDirectory;

class PosixSpawnTest : public os::LeavesNothing,
                       public testing::WithParamInterface<Implementation> {
 protected:
  Observed observe(const Objects& objects) {
    return cold::observe(GetParam(), objects, directory_ / "report");
  }
  // The exit status of a shell command, by the objects; -errno if it couldn't be started.
  int shell(const std::string& command, const Objects& objects) {
    const Strings argv{"sh", "-c", command};
    const Strings env{};
    pid_t pid = kUntouched;
    const int error = GetParam().spawn(&pid, "/bin/sh", &objects.actions, &objects.attributes,
                                       argv.get(), env.get());
    return error != 0 ? -error : WEXITSTATUS(os::wait_for(pid));
  }
  // The errno value for a file that is to be executed, without and with a search.
  int exec_error(const std::string& file, bool search = false) {
    const Strings argv{"name"};
    const Strings env{};
    pid_t pid = kUntouched;
    const auto function = search ? GetParam().spawnp : GetParam().spawn;
    const int error = function(&pid, file.c_str(), nullptr, nullptr, argv.get(), env.get());
    if (error == 0) os::wait_for(pid);
    EXPECT_EQ(pid == kUntouched, error != 0);
    return error;
  }
  std::string executable(const std::string& name, const std::string& text, int mode = 0755) {
    const std::string path = directory_ / name;
    os::write_file(path, text);
    std::filesystem::permissions(path, static_cast<std::filesystem::perms>(mode));
    return path;
  }

  TempDirectory directory_;
};

INSTANTIATE_TEST_SUITE_P(By, PosixSpawnTest, testing::Values(kLibc, kOurs),
                         [](const auto& by) { return std::string(by.param.name); });

// ---- The program -------------------------------------------------------------------------------

TEST_P(PosixSpawnTest, StartsAProgram) {
  const Observed seen = observe({});
  EXPECT_EQ(seen.error, 0);
  EXPECT_GT(seen.pid, 0);
  EXPECT_TRUE(seen.has("argument state"));
  EXPECT_TRUE(seen.has("variable A=1"));
  EXPECT_TRUE(seen.has("variable B="));
}

TEST_P(PosixSpawnTest, TakesNullForEverythingButNameAndArguments) {
  const Strings argv{"true"};
  ASSERT_EQ(GetParam().spawn(nullptr, "/bin/true", nullptr, nullptr, argv.get(), nullptr), 0);
  int status = -1;
  EXPECT_GT(::wait(&status), 0);
  EXPECT_EQ(status, 0);
}

TEST_P(PosixSpawnTest, TellsWhyAProgramCannotBeExecuted) {
  EXPECT_EQ(exec_error("/nonexistent"), ENOENT);
  EXPECT_EQ(exec_error(""), ENOENT);
  EXPECT_EQ(exec_error("/etc/passwd/x"), ENOTDIR);
  EXPECT_EQ(exec_error("/"), EACCES);
  EXPECT_EQ(exec_error(executable("plain", "#!/bin/sh\n", 0644)), EACCES);
  EXPECT_EQ(exec_error(executable("no-format", "exit 0\n")), ENOEXEC);
  EXPECT_EQ(exec_error(executable("no-interpreter", "#!/nonexistent\n")), ENOENT);
  EXPECT_EQ(exec_error("/" + std::string(5000, 'x')), ENAMETOOLONG);
  std::filesystem::create_symlink("loop", directory_ / "loop");
  EXPECT_EQ(exec_error(directory_ / "loop"), ELOOP);
  const std::string busy = executable("busy", "");
  std::filesystem::copy_file("/bin/true", busy, std::filesystem::copy_options::overwrite_existing);
  const Fd writer(::open(busy.c_str(), O_WRONLY | O_CLOEXEC));
  EXPECT_EQ(exec_error(busy), ETXTBSY);
}

TEST_P(PosixSpawnTest, TellsThatArgumentsAreTooLong) {
  const Strings argv{"true", std::string(1 << 20, 'x')};
  pid_t pid = kUntouched;
  EXPECT_EQ(GetParam().spawn(&pid, "/bin/true", nullptr, nullptr, argv.get(), nullptr), E2BIG);
  EXPECT_EQ(pid, kUntouched);
}

// ---- The search --------------------------------------------------------------------------------

// PATH for as long as this lives; null for none.
class Path {
 public:
  explicit Path(const char* value) : before_(std::getenv("PATH")) { set(value); }
  Path(const Path&) = delete;
  Path& operator=(const Path&) = delete;
  ~Path() { set(before_.c_str()); }

 private:
  static void set(const char* value) {
    if (value == nullptr) {
      ::unsetenv("PATH");
    } else {
      ::setenv("PATH", value, 1);
    }
  }
  const std::string before_;
};

TEST_P(PosixSpawnTest, SearchesOnlyIfAskedTo) {
  EXPECT_EQ(exec_error("true"), ENOENT);
  EXPECT_EQ(exec_error("true", true), 0);
}

TEST_P(PosixSpawnTest, SearchesPath) {
  std::filesystem::create_directory(directory_ / "a");
  std::filesystem::create_directory(directory_ / "b");
  const std::string a = directory_ / "a";
  const std::string b = directory_ / "b";
  executable("a/denied", "#!/bin/sh\n", 0644);
  executable("a/first", "#!/bin/sh\n", 0644);
  executable("b/first", "#!/bin/sh\nexit 0\n");
  executable("a/odd", "no format\n");
  executable("b/odd", "#!/bin/sh\nexit 0\n");
  const Path path((a + ":/nonexistent:/etc/passwd:" + b).c_str());
  EXPECT_EQ(exec_error("nothing", true), ENOENT);
  EXPECT_EQ(exec_error("denied", true), EACCES);
  EXPECT_EQ(exec_error("first", true), 0);
  EXPECT_EQ(exec_error("odd", true), ENOEXEC);
  EXPECT_EQ(exec_error("", true), ENOENT);
  EXPECT_EQ(exec_error(b + "/first", true), 0);
  EXPECT_EQ(exec_error("b/first", true), ENOENT);
}

TEST_P(PosixSpawnTest, SearchesTheUsualPlacesWithoutPath) {
  const Path path(nullptr);
  EXPECT_EQ(exec_error("true", true), 0);
}

TEST_P(PosixSpawnTest, SearchesTheWorkingDirectoryOfItsActions) {
  executable("here", "#!/bin/sh\nexit 0\n");
  Objects objects;
  posix_spawn_file_actions_addchdir_np(&objects.actions, directory_.path().c_str());
  const Strings argv{"here"};
  for (const char* value : {"", "/bin:", ":/bin", "/bin::/usr/bin", "."}) {
    const Path path(value);
    pid_t pid = -1;
    EXPECT_EQ(GetParam().spawnp(&pid, "here", &objects.actions, nullptr, argv.get(), nullptr), 0)
        << value;
    EXPECT_EQ(os::wait_for(pid), 0);
  }
}

// ---- File actions ------------------------------------------------------------------------------

TEST_P(PosixSpawnTest, OpensFiles) {
  Objects objects;
  const std::string path = directory_ / "out";
  posix_spawn_file_actions_addopen(&objects.actions, 1, path.c_str(), O_WRONLY | O_CREAT, 0600);
  EXPECT_EQ(shell("echo hello", objects), 0);
  EXPECT_EQ(os::read_file(path), "hello\n");
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_P(PosixSpawnTest, TellsWhatCouldNotBeOpened) {
  Objects objects;
  posix_spawn_file_actions_addopen(&objects.actions, 5, "/nonexistent/x", O_RDONLY, 0);
  const Observed seen = observe(objects);
  EXPECT_EQ(seen.error, ENOENT);
  EXPECT_EQ(seen.pid, kUntouched);
}

// O_CLOEXEC of an action only lasts if the kernel happened to choose the right number.
TEST_P(PosixSpawnTest, CloseOnExecOfAnOpenedFile) {
  const Fd free(::open("/dev/null", O_RDONLY | O_CLOEXEC));  // the lowest number in the child
  Objects objects;
  posix_spawn_file_actions_addclose(&objects.actions, free.get());
  posix_spawn_file_actions_addopen(&objects.actions, 50, "/dev/zero", O_RDONLY | O_CLOEXEC, 0);
  posix_spawn_file_actions_addopen(&objects.actions, free.get(), "/dev/full", O_RDONLY | O_CLOEXEC,
                                   0);
  const Observed seen = observe(objects);
  EXPECT_TRUE(seen.mentions("/dev/zero"));
  EXPECT_FALSE(seen.mentions("/dev/full"));
}

TEST_P(PosixSpawnTest, DuplicatesDescriptors) {
  const Fd zero(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  Objects objects;
  posix_spawn_file_actions_adddup2(&objects.actions, zero.get(), 40);
  posix_spawn_file_actions_adddup2(&objects.actions, zero.get(), zero.get());
  const Observed seen = observe(objects);
  EXPECT_TRUE(seen.mentions("fd 40 cloexec 0"));
  EXPECT_TRUE(seen.mentions("fd " + std::to_string(zero.get()) + " cloexec 0"));
  posix_spawn_file_actions_adddup2(&objects.actions, 55, 41);
  EXPECT_EQ(observe(objects).error, EBADF);
}

TEST_P(PosixSpawnTest, DuplicatingWhatIsNotOpenOnItselfIsAnError) {
  Objects objects;
  posix_spawn_file_actions_adddup2(&objects.actions, 55, 55);
  EXPECT_EQ(observe(objects).error, EBADF);
}

TEST_P(PosixSpawnTest, ClosesDescriptors) {
  const int zero = ::open("/dev/zero", O_RDONLY);
  Objects objects;
  EXPECT_TRUE(observe(objects).mentions("/dev/zero"));
  posix_spawn_file_actions_addclose(&objects.actions, zero);
  posix_spawn_file_actions_addclose(&objects.actions, zero);  // not open: no error
  const Observed seen = observe(objects);
  EXPECT_EQ(seen.error, 0);
  EXPECT_FALSE(seen.mentions("/dev/zero"));
  ::close(zero);
}

TEST_P(PosixSpawnTest, ClosingWhatCannotBeOpenIsAnError) {
  Objects objects;
  posix_spawn_file_actions_addclose(&objects.actions, 60);
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit low{60, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  EXPECT_EQ(observe(objects).error, EBADF);
  ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST_P(PosixSpawnTest, ClosesAllFromANumberOn) {
  const int zero = ::open("/dev/zero", O_RDONLY);
  const int full = ::fcntl(zero, F_DUPFD, 57);
  Objects objects;
  posix_spawn_file_actions_addclosefrom_np(&objects.actions, 3);
  posix_spawn_file_actions_addopen(&objects.actions, 8, "/dev/full", O_RDONLY, 0);
  const Observed seen = observe(objects);
  EXPECT_EQ(seen.error, 0);
  EXPECT_FALSE(seen.mentions("/dev/zero"));
  EXPECT_TRUE(seen.mentions("fd 8 "));
  ::close(zero);
  ::close(full);
}

TEST_P(PosixSpawnTest, ChangesTheDirectory) {
  std::filesystem::create_directory(directory_ / "inner");
  const std::string inner = directory_ / "inner";
  const Fd opened(::open(directory_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  {
    Objects objects;
    posix_spawn_file_actions_addchdir_np(&objects.actions, inner.c_str());
    EXPECT_TRUE(observe(objects).has("directory " + inner));
  }
  Objects objects;
  posix_spawn_file_actions_addfchdir_np(&objects.actions, opened.get());
  posix_spawn_file_actions_addopen(&objects.actions, 30, "inner", O_RDONLY, 0);  // relative
  const Observed seen = observe(objects);
  EXPECT_TRUE(seen.has("directory " + directory_.path()));
  EXPECT_TRUE(seen.mentions(" " + inner + "\n"));
  posix_spawn_file_actions_addchdir_np(&objects.actions, "inner/nothing");
  EXPECT_EQ(observe(objects).error, ENOENT);
}

TEST_P(PosixSpawnTest, AFailingDirectoryIsTold) {
  Objects objects;
  posix_spawn_file_actions_addfchdir_np(&objects.actions, 55);
  EXPECT_EQ(observe(objects).error, EBADF);
}

TEST_P(PosixSpawnTest, OnlyATerminalHasAForeground) {
  Objects objects;
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  posix_spawn_file_actions_addtcsetpgrp_np(&objects.actions, null.get());
  EXPECT_EQ(observe(objects).error, ENOTTY);
}

// More than a call usually has memory for.
TEST_P(PosixSpawnTest, TakesManyActions) {
  Objects objects;
  for (int i = 0; i < 3000; ++i) {
    posix_spawn_file_actions_addopen(&objects.actions, 20 + i % 30, "/dev/null", O_RDONLY, 0);
  }
  posix_spawn_file_actions_addopen(&objects.actions, 49, "/dev/full", O_RDONLY, 0);
  const Observed seen = observe(objects);
  EXPECT_EQ(seen.error, 0);
  EXPECT_TRUE(seen.mentions("fd 48 cloexec 0"));
  EXPECT_TRUE(seen.mentions("/dev/full"));
}

// ---- Attributes --------------------------------------------------------------------------------

TEST_P(PosixSpawnTest, MakesASession) {
  Objects objects;
  objects.flags(POSIX_SPAWN_SETSID);
  const Observed seen = observe(objects);
  EXPECT_TRUE(seen.has("session its own"));
  EXPECT_TRUE(seen.has("group its own"));
}

TEST_P(PosixSpawnTest, SetsTheProcessGroup) {
  Objects objects;
  objects.flags(POSIX_SPAWN_SETPGROUP);
  EXPECT_TRUE(observe(objects).has("group its own"));
  posix_spawnattr_setpgroup(&objects.attributes, 1);
  EXPECT_EQ(observe(objects).error, EPERM);
  posix_spawnattr_setpgroup(&objects.attributes, -1);
  EXPECT_EQ(observe(objects).error, EINVAL);
  // Without its flag it means nothing.
  objects.flags(0);
  EXPECT_EQ(observe(objects).error, 0);
}

TEST_P(PosixSpawnTest, SetsTheSignalMask) {
  const sigset_t inherited = signals({SIGUSR1, SIGRTMIN + 3});
  sigset_t before;
  ::pthread_sigmask(SIG_SETMASK, &inherited, &before);
  Objects objects;
  Observed seen = observe(objects);
  EXPECT_TRUE(seen.has("signal " + std::to_string(SIGUSR1) + " blocked"));
  EXPECT_TRUE(seen.has("signal " + std::to_string(SIGRTMIN + 3) + " blocked"));

  const sigset_t wanted = signals({SIGUSR2, SIGRTMAX});
  posix_spawnattr_setsigmask(&objects.attributes, &wanted);
  objects.flags(POSIX_SPAWN_SETSIGMASK);
  seen = observe(objects);
  EXPECT_TRUE(seen.has("signal " + std::to_string(SIGUSR2) + " blocked"));
  EXPECT_TRUE(seen.has("signal " + std::to_string(SIGRTMAX) + " blocked"));
  EXPECT_FALSE(seen.mentions("signal " + std::to_string(SIGUSR1) + " blocked"));

  sigset_t after;
  ::pthread_sigmask(SIG_SETMASK, &before, &after);
  EXPECT_EQ(sigismember(&after, SIGUSR1), 1);
  EXPECT_EQ(sigismember(&after, SIGUSR2), 0);
}

TEST_P(PosixSpawnTest, SetsSignalsToTheirDefault) {
  ::signal(SIGUSR1, SIG_IGN);
  ::signal(SIGUSR2, SIG_IGN);
  ::signal(SIGHUP, [](int) {});
  Objects objects;
  Observed seen = observe(objects);
  EXPECT_TRUE(seen.mentions("signal " + std::to_string(SIGUSR1) + " ignored"));
  EXPECT_TRUE(seen.mentions("signal " + std::to_string(SIGUSR2) + " ignored"));
  EXPECT_FALSE(seen.mentions("signal " + std::to_string(SIGHUP) + " "));

  // SIGKILL can't be set, and needn't be.
  const sigset_t wanted = signals({SIGUSR1, SIGKILL, SIGHUP});
  posix_spawnattr_setsigdefault(&objects.attributes, &wanted);
  objects.flags(POSIX_SPAWN_SETSIGDEF);
  seen = observe(objects);
  EXPECT_EQ(seen.error, 0);
  EXPECT_FALSE(seen.mentions("signal " + std::to_string(SIGUSR1) + " "));
  EXPECT_TRUE(seen.mentions("signal " + std::to_string(SIGUSR2) + " ignored"));
  struct sigaction action{};
  ::sigaction(SIGUSR1, nullptr, &action);
  EXPECT_EQ(action.sa_handler, SIG_IGN);
  for (const int signal : {SIGUSR1, SIGUSR2, SIGHUP}) ::signal(signal, SIG_DFL);
}

TEST_P(PosixSpawnTest, SetsTheScheduler) {
  Objects objects;
  posix_spawnattr_setschedpolicy(&objects.attributes, SCHED_BATCH);  // refused by the C library
  posix_spawnattr_setschedpolicy(&objects.attributes, SCHED_OTHER);
  sched_param priority{};
  posix_spawnattr_setschedparam(&objects.attributes, &priority);
  for (const int flags : {POSIX_SPAWN_SETSCHEDPARAM, POSIX_SPAWN_SETSCHEDULER,
                          POSIX_SPAWN_SETSCHEDPARAM | POSIX_SPAWN_SETSCHEDULER}) {
    objects.flags(flags);
    EXPECT_TRUE(observe(objects).has("scheduler 0 0"));
  }
  priority.sched_priority = 5;
  posix_spawnattr_setschedparam(&objects.attributes, &priority);
  objects.flags(POSIX_SPAWN_SETSCHEDPARAM);
  EXPECT_EQ(observe(objects).error, EINVAL);
  objects.flags(POSIX_SPAWN_SETSCHEDULER);
  EXPECT_EQ(observe(objects).error, EINVAL);
}

TEST_P(PosixSpawnTest, APriorityIsOneOfTheInheritedPolicy) {
  const sched_param before{};
  sched_param real_time{};
  real_time.sched_priority = 2;
  for (const int policy : {SCHED_RR, SCHED_FIFO, SCHED_RR | SCHED_RESET_ON_FORK}) {
    if (::sched_setscheduler(0, policy, &real_time) != 0) GTEST_SKIP() << "not allowed here";
    Objects objects;
    sched_param wanted{};
    wanted.sched_priority = (policy & SCHED_RESET_ON_FORK) != 0 ? 0 : 3;
    posix_spawnattr_setschedparam(&objects.attributes, &wanted);
    objects.flags(POSIX_SPAWN_SETSCHEDPARAM);
    const Observed seen = observe(objects);
    ::sched_setscheduler(0, SCHED_OTHER, &before);
    const int inherited = (policy & SCHED_RESET_ON_FORK) != 0 ? SCHED_OTHER : policy;
    EXPECT_TRUE(seen.has("scheduler " + std::to_string(inherited) + " " +
                         std::to_string(wanted.sched_priority)))
        << seen.error << seen.state;
  }
}

bool others_may_execute(std::filesystem::path path) {
  constexpr auto kMayExecute = std::filesystem::perms::others_exec;
  for (; path != path.root_path(); path = path.parent_path()) {
    if ((std::filesystem::status(path).permissions() & kMayExecute) != kMayExecute) return false;
  }
  return true;
}

TEST_P(PosixSpawnTest, ResetsIdentity) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  if (!others_may_execute(PREWARM_TEST_STATE)) GTEST_SKIP() << "nobody else may come here";
  os::Child child([&] {
    if (::setresgid(1, 0, 0) != 0 || ::setresuid(1, 0, 0) != 0) return 1;
    Objects objects;
    std::filesystem::permissions(directory_.path(), std::filesystem::perms::all);
    if (!observe(objects).has("ids 1 0 1 0")) return 2;
    objects.flags(POSIX_SPAWN_RESETIDS);
    if (!observe(objects).has("ids 1 1 1 1")) return 3;
    if (::geteuid() != 0 || ::getegid() != 0) return 4;
    return 0;
  });
  EXPECT_EQ(child.wait(), 0);
}

TEST_P(PosixSpawnTest, AcceptsUseVfork) {
  Objects objects;
  objects.flags(POSIX_SPAWN_USEVFORK);
  EXPECT_EQ(observe(objects).error, 0);
}

// ---- The caller --------------------------------------------------------------------------------

volatile pid_t spawned;
volatile pid_t seen_by_handler;

// Programs keep the pid in a variable that a handler looks at. The new task stops in the opening of
// one pipe and then of another, and in between there is a signal for the caller.
TEST_P(PosixSpawnTest, AHandlerFindsThePid) {
  const std::string first = directory_ / "first";
  const std::string second = directory_ / "second";
  ASSERT_EQ(::mkfifo(first.c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo(second.c_str(), 0600), 0);
  Objects objects;
  posix_spawn_file_actions_addopen(&objects.actions, 20, first.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&objects.actions, 21, second.c_str(), O_RDONLY, 0);
  struct sigaction before{};
  struct sigaction action{};
  action.sa_handler = [](int) { seen_by_handler = spawned; };
  ::sigaction(SIGUSR1, &action, &before);
  spawned = kUntouched;
  seen_by_handler = 0;

  std::thread sender([&, caller = ::pthread_self()] {
    const Fd begun(::open(first.c_str(), O_WRONLY | O_CLOEXEC));
    ::pthread_kill(caller, SIGUSR1);
    const Fd go_on(::open(second.c_str(), O_WRONLY | O_CLOEXEC));
  });
  const Strings argv{"true"};
  pid_t* const pid = const_cast<pid_t*>(&spawned);
  EXPECT_EQ(GetParam().spawn(pid, "/bin/true", &objects.actions, nullptr, argv.get(), nullptr), 0);
  sender.join();
  EXPECT_EQ(seen_by_handler, spawned);
  EXPECT_EQ(os::wait_for(spawned), 0);
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_P(PosixSpawnTest, LeavesCancellationAsItWas) {
  for (const int wanted : {PTHREAD_CANCEL_DISABLE, PTHREAD_CANCEL_ENABLE}) {
    ::pthread_setcancelstate(wanted, nullptr);
    EXPECT_EQ(exec_error("/nonexistent"), ENOENT);
    EXPECT_EQ(exec_error("/bin/true"), 0);
    int after = -1;
    ::pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &after);
    EXPECT_EQ(after, wanted);
  }
}

TEST_P(PosixSpawnTest, ManyThreadsMayCallIt) {
  const Strings argv{"sh", "-c", "exit 9"};
  std::array<int, 8> right{};
  std::vector<std::thread> threads;
  for (int& count : right) {
    threads.emplace_back([&] {
      for (int i = 0; i < 40; ++i) {
        pid_t pid = kUntouched;
        const char* const path = i % 2 == 0 ? "/bin/sh" : "/nonexistent";
        const int error = GetParam().spawn(&pid, path, nullptr, nullptr, argv.get(), nullptr);
        if (i % 2 != 0) {
          count += error == ENOENT && pid == kUntouched;
        } else {
          count += error == 0 && WEXITSTATUS(os::wait_for(pid)) == 9;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int count : right) EXPECT_EQ(count, 40);
}

// ---- Ours only ---------------------------------------------------------------------------------

class OurPosixSpawn : public testing::Test {
 protected:
  const Strings argv_{"name", "one", "two"};
  TempDirectory directory_;
};

TEST_F(OurPosixSpawn, RefusesNull) {
  EXPECT_EQ(prewarm_posix_spawn(nullptr, nullptr, nullptr, nullptr, argv_.get(), nullptr), EFAULT);
  EXPECT_EQ(prewarm_posix_spawnp(nullptr, nullptr, nullptr, nullptr, argv_.get(), nullptr), EFAULT);
  EXPECT_EQ(prewarm_posix_spawn(nullptr, "/bin/true", nullptr, nullptr, nullptr, nullptr), EFAULT);
  EXPECT_TRUE(os::is_childless());
}

// As a newer C library could fill them.
TEST_F(OurPosixSpawn, DoesNotGuessAtWhatItDoesNotKnow) {
  Objects objects;
  const PosixSpawn call{.file = "/bin/true",
                        .actions = &objects.actions,
                        .attributes = &objects.attributes,
                        .argv = argv_.get(),
                        .env = nullptr};
  objects.attributes.__flags = 0x100;
  EXPECT_EQ(run_posix_spawn(nullptr, call), kNotUnderstood);
  objects.attributes.__flags = 0;
  posix_spawn_file_actions_addclose(&objects.actions, 5);
  reinterpret_cast<int*>(objects.actions.__actions)[0] = 99;
  EXPECT_EQ(run_posix_spawn(nullptr, call), kNotUnderstood);
  EXPECT_TRUE(os::is_childless());
}

// What programs get that were linked before glibc 2.15.
TEST_F(OurPosixSpawn, RunsScriptsIfAskedTo) {
  const std::string script = directory_ / "script";
  os::write_file(script, "test \"$#.$1.$2\" = 2.one.two && exit 7\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  PosixSpawn call{.file = script.c_str(),
                  .actions = nullptr,
                  .attributes = nullptr,
                  .argv = argv_.get(),
                  .env = nullptr};
  pid_t pid = kUntouched;
  EXPECT_EQ(run_posix_spawn(&pid, call), ENOEXEC);
  call.scripts = true;
  ASSERT_EQ(run_posix_spawn(&pid, call), 0);
  EXPECT_EQ(WEXITSTATUS(os::wait_for(pid)), 7);

  const Path path((directory_.path() + ":/bin").c_str());
  call.file = "script";
  call.search = true;
  ASSERT_EQ(run_posix_spawn(&pid, call), 0);
  EXPECT_EQ(WEXITSTATUS(os::wait_for(pid)), 7);

  const Strings none{};
  call.argv = none.get();
  ASSERT_EQ(run_posix_spawn(&pid, call), 0);
  EXPECT_EQ(WEXITSTATUS(os::wait_for(pid)), 1);
}

// Dropping an identity in memory that is shared must not make the caller undumpable.
TEST_F(OurPosixSpawn, TheCallerStaysDumpable) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  os::Child child([&] {
    if (::setresuid(1, 0, 0) != 0 || ::prctl(PR_SET_DUMPABLE, 1) != 0) return 1;
    Objects objects;
    objects.flags(POSIX_SPAWN_RESETIDS);
    pid_t pid = kUntouched;
    if (prewarm_posix_spawn(&pid, "/bin/true", nullptr, &objects.attributes, argv_.get(),
                            nullptr) != 0) {
      return 2;
    }
    if (os::wait_for(pid) != 0) return 3;
    return ::prctl(PR_GET_DUMPABLE) == 1 ? 0 : 4;
  });
  EXPECT_EQ(child.wait(), 0);
}

}  // namespace
}  // namespace prewarm::cold
