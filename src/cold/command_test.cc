// SPDX-License-Identifier: MIT
#include "prewarm/command.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <thread>
#include <vector>

#include "cold/testing/command.h"
#include "os/testing.h"

namespace prewarm {
namespace {

class CommandTest : public CommandFixture {};

// ---- Arguments, environment, directory ----------------------------------------------------------

TEST_F(CommandTest, PassesArgumentsAsTheyAre) {
  Command command("/usr/bin/printf");
  command.arg("%s,").args({"", "two\nlines", "\xff", "a b"});
  EXPECT_EQ(output_of(command), ",two\nlines,\xff,a b,");
}

TEST_F(CommandTest, TheFirstArgumentIsTheNameUnlessToldOtherwise) {
  EXPECT_EQ(output_of(Command("sh").args({"-c", "echo $0"})), "sh\n");
  EXPECT_EQ(output_of(shell("echo $0").argv0("another")), "another\n");
}

TEST_F(CommandTest, EditsTheEnvironment) {
  ::setenv("PREWARM_TEST_KEPT", "kept", 1);
  ::setenv("PREWARM_TEST_CHANGED", "old", 1);
  ::setenv("PREWARM_TEST_GONE", "gone", 1);
  Command command = shell(
      "echo $PREWARM_TEST_KEPT $PREWARM_TEST_CHANGED ${PREWARM_TEST_GONE-unset} "
      "$PREWARM_TEST_NEW; env | grep -c PREWARM_TEST_CHANGED");
  command.env("PREWARM_TEST_CHANGED", "old again").env("PREWARM_TEST_CHANGED", "new=1");
  command.unset_env("PREWARM_TEST_GONE").env("PREWARM_TEST_NEW", "new");
  EXPECT_EQ(output_of(command), "kept new=1 unset new\n1\n");
  ::unsetenv("PREWARM_TEST_KEPT");
  ::unsetenv("PREWARM_TEST_CHANGED");
  ::unsetenv("PREWARM_TEST_GONE");
}

TEST_F(CommandTest, ClearsTheEnvironment) {
  EXPECT_EQ(output_of(Command("/usr/bin/env").env("BEFORE", "1").clear_env().env("A", "1")),
            "A=1\n");
}

TEST_F(CommandTest, SearchesThePathOfTheProgram) {
  const std::string tool = directory_ / "prewarm-test-tool";
  os::write_file(tool, "#!/bin/sh\necho found\n");
  ::chmod(tool.c_str(), 0755);
  Command command("prewarm-test-tool");
  const auto missing = command.spawn();
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message(),
            "search PATH for prewarm-test-tool: No such file or directory");
  EXPECT_EQ(output_of(command.env("PATH", "/nowhere:" + directory_.path())), "found\n");
  // An empty place is the working directory: the program's.
  EXPECT_EQ(output_of(command.env("PATH", "/nowhere:").directory(directory_.path())), "found\n");
}

TEST_F(CommandTest, WithoutPathTheUsualPlacesAreSearched) {
  EXPECT_EQ(output_of(Command("env").unset_env("PATH").clear_env().env("A", "b")), "A=b\n");
}

TEST_F(CommandTest, ASearchGoesPastWhatCantBeExecuted) {
  os::write_file(directory_ / "env", "no program\n");
  Command command("env");
  command.clear_env().env("PATH", directory_.path() + ":/usr/bin");
  EXPECT_EQ(output_of(command), "PATH=" + directory_.path() + ":/usr/bin\n");
  // If there is no other, then it is what is told.
  const auto refused = command.env("PATH", "/nowhere:" + directory_.path()).spawn();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(), "exec " + directory_ / "env" + ": Permission denied");
}

TEST_F(CommandTest, StartsInItsDirectory) {
  EXPECT_EQ(output_of(Command("pwd").directory(directory_.path())), directory_.path() + "\n");
  // A relative path of a program is one from there.
  os::write_file(directory_ / "tool", "#!/bin/sh\npwd\n");
  ::chmod((directory_ / "tool").c_str(), 0755);
  EXPECT_EQ(output_of(Command("./tool").directory(directory_.path())), directory_.path() + "\n");
}

// ---- Streams and descriptors --------------------------------------------------------------------

TEST_F(CommandTest, StreamsFromAndToFiles) {
  os::write_file(directory_ / "in", "text\n");
  os::write_file(directory_ / "out", "a long text from before\n");
  os::write_file(directory_ / "err", "before\n");
  Command command = shell("cat; echo oh >&2");
  command.in(Stdio::read(directory_ / "in")).out(Stdio::write(directory_ / "out", 0600));
  command.err(Stdio::append(directory_ / "err"));
  ASSERT_TRUE(command.run().value().success());
  EXPECT_EQ(os::read_file(directory_ / "out"), "text\n");
  EXPECT_EQ(os::read_file(directory_ / "err"), "before\noh\n");
}

TEST_F(CommandTest, FilesAreMadeWithTheirModeAndTheCallersUmask) {
  const mode_t before = ::umask(027);
  Command command("true");
  command.out(Stdio::write(directory_ / "out")).err(Stdio::append(directory_ / "err", 0640));
  command.umask(077);  // the program's own
  ASSERT_TRUE(command.run().value().success());
  ::umask(before);
  struct stat made{};
  ASSERT_EQ(::stat((directory_ / "out").c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 0777, 0640u);
  ASSERT_EQ(::stat((directory_ / "err").c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 0777, 0640u);
}

TEST_F(CommandTest, FilesAreLookedForFromTheCallersDirectory) {
  os::write_file(directory_ / "in", "caller's\n");
  const std::string before = std::filesystem::current_path();
  std::filesystem::current_path(directory_.path());
  EXPECT_EQ(output_of(Command("cat").in(Stdio::read("in")).directory("/")), "caller's\n");
  std::filesystem::current_path(before);
}

TEST_F(CommandTest, StreamsThatAreNull) {
  const auto ended =
      shell("read line || echo end; echo x >&2").in(Stdio::null()).err(Stdio::null()).capture();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->out, "end\n");
  EXPECT_EQ(ended->err, "");
}

TEST_F(CommandTest, StreamsThatAreDescriptorsStayTheCallers) {
  os::Pipe pipe = os::make_pipe();
  Command command("echo");
  command.arg("hello").out(Stdio::descriptor(pipe.write.get()));
  ASSERT_TRUE(command.run().value().success());
  ASSERT_TRUE(command.run().value().success());
  pipe.write.reset();
  EXPECT_EQ(os::read_all(pipe.read.get()), "hello\nhello\n");
}

TEST_F(CommandTest, ErrorsGoWhereTheOutputGoes) {
  const std::string commands = "echo one; echo two >&2; echo three";
  EXPECT_EQ(output_of(shell(commands).err(Stdio::output())), "one\ntwo\nthree\n");
  Command to_file = shell(commands);
  to_file.out(Stdio::write(directory_ / "both")).err(Stdio::output());
  ASSERT_TRUE(to_file.run().value().success());
  EXPECT_EQ(os::read_file(directory_ / "both"), "one\ntwo\nthree\n");
}

TEST_F(CommandTest, AConversationOverPipes) {
  Command command("cat");
  command.in(Stdio::pipe()).out(Stdio::pipe());
  auto process = command.spawn();
  ASSERT_TRUE(process);
  EXPECT_FALSE(process->err().valid());
  for (const int value : {1, 2, 3}) {
    int answer = 0;
    ASSERT_TRUE(os::write_value(process->in().get(), value));
    ASSERT_TRUE(os::read_value(process->out().get(), answer));
    EXPECT_EQ(answer, value);
  }
  EXPECT_TRUE(process->wait().value().success());  // closes its input
}

// ls itself has 3 open, for the directory.
TEST_F(CommandTest, HasNoOtherDescriptors) {
  const Fd left_open(::open("/dev/null", O_RDONLY));  // without close-on-exec
  const Fd high(::fcntl(left_open.get(), F_DUPFD, 200));
  ASSERT_TRUE(high.valid());
  EXPECT_EQ(output_of(Command("ls").arg("/proc/self/fd")), "0\n1\n2\n3\n");
  EXPECT_EQ(output_of(Command("ls").arg("/proc/self/fd").in(Stdio::closed())), "0\n1\n2\n");
}

TEST_F(CommandTest, InheritsWhatItIsToldUnderItsNumber) {
  os::write_file(directory_ / "a", "a");
  os::write_file(directory_ / "b", "b");
  const Fd a(::open((directory_ / "a").c_str(), O_RDONLY | O_CLOEXEC));
  const Fd b(::open((directory_ / "b").c_str(), O_RDONLY | O_CLOEXEC));
  // Each takes the other's number.
  Command command =
      shell("cat <&" + std::to_string(a.get()) + "; cat <&" + std::to_string(b.get()));
  command.inherit(a.get(), b.get()).inherit(b.get(), a.get());
  EXPECT_EQ(output_of(command), "ba");
  Command list("ls");
  list.arg("/proc/self/fd").inherit(a.get(), 9).inherit(a.get(), 4);
  EXPECT_EQ(output_of(list), "0\n1\n2\n3\n4\n9\n");
}

// Runs `function` in a copy of this process whose standard streams are closed.
template <class Function>
int without_streams(Function function) {
  os::Child child([&] {
    for (const int fd : {0, 1, 2}) ::close(fd);
    return function();
  });
  return WEXITSTATUS(child.wait());
}

TEST_F(CommandTest, ACallerWithoutStreamsCanHavePipes) {
  EXPECT_EQ(without_streams([] {
              const auto output = shell("cat; echo err >&2").capture({.input = "text"});
              if (!output || !output->success()) return 1;
              if (output->out != "text" || output->err != "err\n") return 2;
              return os::open_descriptors().contains(0) ? 3 : 0;
            }),
            0);
}

// Else what such a caller prints would go to the program.
TEST_F(CommandTest, PipesOfACallerWithoutStreamsAreNoStreams) {
  EXPECT_EQ(without_streams([] {
              auto process = Command("cat").in(Stdio::pipe()).out(Stdio::pipe()).spawn();
              if (!process) return 1;
              if (process->in().get() < 3 || process->out().get() < 3) return 2;
              return process->wait().value().success() ? 0 : 3;
            }),
            0);
}

TEST_F(CommandTest, PipesAreNotForOtherPrograms) {
  auto process = Command("cat").in(Stdio::pipe()).out(Stdio::pipe()).spawn();
  ASSERT_TRUE(process);
  EXPECT_EQ(::fcntl(process->in().get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(::fcntl(process->out().get(), F_GETFD), FD_CLOEXEC);
  EXPECT_TRUE(process->wait().value().success());
}

TEST_F(CommandTest, WhatTheCallerHasClosedStaysClosed) {
  // Only its errors are a pipe, whose ends could have got the numbers 0 and 1.
  EXPECT_EQ(without_streams([] {
              const auto output = shell("test ! -e /proc/$$/fd/0 && test ! -e /proc/$$/fd/1")
                                      .in(Stdio::inherit())
                                      .out(Stdio::inherit())
                                      .capture();
              return output && output->success() ? 0 : 1;
            }),
            0);
}

// ---- Signals and set-up -------------------------------------------------------------------------

TEST_F(CommandTest, SignalsAsTheProgramIsToHaveThem) {
  sigset_t mask;
  sigset_t before;
  ::sigemptyset(&mask);
  ::sigaddset(&mask, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &mask, &before);
  const auto pipe_before = ::signal(SIGPIPE, SIG_IGN);
  const auto hup_before = ::signal(SIGHUP, SIG_IGN);
  // SIGHUP is bit 0, SIGUSR1 bit 9, SIGPIPE bit 12.
  Command command("grep");  // a shell would clear the mask
  command.args({"-E", "^Sig(Blk|Ign)", "/proc/self/status"});
  EXPECT_EQ(output_of(command), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000001\n");
  EXPECT_EQ(output_of(command.signals(Signals::inherit)),
            "SigBlk:\t0000000000000200\nSigIgn:\t0000000000001001\n");
  EXPECT_EQ(output_of(command.signals(Signals::all_default)),
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  ::signal(SIGPIPE, pipe_before);
  ::signal(SIGHUP, hup_before);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_F(CommandTest, SetsUpWhatItIsTold) {
  Command command = shell(
      "ulimit -n; ulimit -Sc; umask; nice; grep NoNewPrivs /proc/self/status | cut -f2; "
      "set -- $(cat /proc/$$/stat); test $1 = $6 && echo session; test $1 = $5 && echo group");
  command.limit(RLIMIT_NOFILE, 77).limit(RLIMIT_CORE, 0).umask(031).nice(7);
  command.no_new_privileges().session();
  EXPECT_EQ(output_of(command), "77\n0\n0031\n7\n1\nsession\ngroup\n");
}

TEST_F(CommandTest, DescriptorsOfTheSetUpAreTheCallers) {
  const Fd place(::open(directory_.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(output_of(Command("pwd").setup(op::fchdir(place.get()))), directory_.path() + "\n");
  EXPECT_EQ(output_of(Command("ls").arg("/proc/self/fd").setup(op::fchdir(place.get()))),
            "0\n1\n2\n3\n");
}

TEST_F(CommandTest, DiesWithTheThreadIfThatWasWanted) {
  Result<Process> process = std::unexpected(Error{"", "", 0});
  std::thread([&] { process = Command("sleep").arg("1000").death_signal(SIGTERM).spawn(); }).join();
  ASSERT_TRUE(process) << process.error().message();
  EXPECT_EQ(process->wait().value().status.signal(), SIGTERM);
}

TEST_F(CommandTest, IgnoringSigchldLosesNothingButTheStatus) {
  const auto before = ::signal(SIGCHLD, SIG_IGN);
  const auto output = shell("echo out; exit 3").capture();
  ::signal(SIGCHLD, before);
  if (output) {
    EXPECT_EQ(output->out, "out\n");
    EXPECT_EQ(output->status.code(), 3);
  } else {
    EXPECT_EQ(output.error().code, ECHILD);
  }
}

// ---- Errors -------------------------------------------------------------------------------------

void expect_error(const Command& command, const std::string& message, int code) {
  const auto process = command.spawn();
  ASSERT_FALSE(process) << message;
  EXPECT_EQ(process.error().message(), message);
  EXPECT_EQ(process.error().code, code);
  EXPECT_TRUE(os::is_childless());
}

TEST_F(CommandTest, ErrorsNameTheStep) {
  // With pipes, which must not be left behind.
  Command command("true");
  command.in(Stdio::pipe()).out(Stdio::pipe()).err(Stdio::pipe());
  const auto altered = [&](auto alter) {
    Command other(command);
    alter(other);
    return other;
  };
  expect_error(altered([](Command& c) { c.directory("/nowhere"); }),
               "chdir /nowhere: No such file or directory", ENOENT);
  expect_error(altered([](Command& c) { c.in(Stdio::read("/nowhere/in")); }),
               "open /nowhere/in: No such file or directory", ENOENT);
  expect_error(altered([](Command& c) { c.limit(RLIMIT_NOFILE, 5, 4); }), "limit: Invalid argument",
               EINVAL);
  expect_error(altered([](Command& c) { c.inherit(1999, 5); }), "keep_only: Bad file descriptor",
               EBADF);
  expect_error(Command("/etc/passwd"), "exec /etc/passwd: Permission denied", EACCES);
  expect_error(Command("/nowhere/program"), "exec /nowhere/program: No such file or directory",
               ENOENT);
  expect_error(Command(""), "exec: No such file or directory", ENOENT);
  // Not by a search: older kernels say so before they look for the file.
  expect_error(Command("/usr/bin/true").arg(std::string(std::size_t{1} << 20, 'x')),
               "exec /usr/bin/true: Argument list too long", E2BIG);
}

TEST_F(CommandTest, AFormatThatIsNotKnownIsNotGivenToAShell) {
  const std::string script = directory_ / "script";
  os::write_file(script, "echo no interpreter\n");
  ::chmod(script.c_str(), 0755);
  expect_error(Command(script), "exec " + script + ": Exec format error", ENOEXEC);
}

TEST_F(CommandTest, BadArgumentsAreRefusedAtTheStart) {
  const std::string nul("a\0b", 3);
  expect_error(Command(nul), "command " + nul + ": Invalid argument", EINVAL);
  expect_error(Command("true").arg(nul), "arg " + nul + ": Invalid argument", EINVAL);
  expect_error(Command("true").argv0(nul), "argv0 " + nul + ": Invalid argument", EINVAL);
  expect_error(Command("true").env("", "x"), "env: Invalid argument", EINVAL);
  expect_error(Command("true").env("A=B", "x"), "env A=B: Invalid argument", EINVAL);
  expect_error(Command("true").env("A", nul), "env A: Invalid argument", EINVAL);
  expect_error(Command("true").directory(""), "directory: Invalid argument", EINVAL);
  expect_error(Command("true").in(Stdio::read(nul)), "in " + nul + ": Invalid argument", EINVAL);
  expect_error(Command("true").out(Stdio::output()), "out: Invalid argument", EINVAL);
  expect_error(Command("true").err(Stdio::descriptor(-1)), "err: Invalid argument", EINVAL);
  expect_error(Command("true").inherit(0, 2), "inherit 0: Invalid argument", EINVAL);
  expect_error(Command("true").inherit(0, 5).inherit(1, 5), "inherit 1: Invalid argument", EINVAL);
  expect_error(Command("true").setup(op::clone()), "setup clone: Invalid argument", EINVAL);
}

TEST_F(CommandTest, NoRoomForAnotherProcess) {
  os::Child child([] {
    // The limit doesn't hold for root.
    if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) return 2;
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_NPROC, &none);
    const auto process = Command("true").spawn();
    if (process) return 3;
    return process.error().message() == "clone: Resource temporarily unavailable" ? 0 : 4;
  });
  EXPECT_EQ(WEXITSTATUS(child.wait()), 0);
}

// However many descriptors can be had: all goes well, or nothing is left behind.
TEST_F(CommandTest, FewDescriptorsLeft) {
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const std::set<int> open = os::open_descriptors();
  rlim_t limit = 0;
  int failed = 0;
  for (int left = 0; left < 10; ++left) {
    while (open.contains(static_cast<int>(limit))) ++limit;
    const rlimit few{limit++, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
    const auto output = Command("cat").capture({.input = "x"});
    ::setrlimit(RLIMIT_NOFILE, &before);
    if (output) {
      EXPECT_EQ(output->out, "x");
    } else {
      EXPECT_EQ(output.error().code, EMFILE) << output.error().message();
      ++failed;
    }
    EXPECT_EQ(os::open_descriptors(), open) << left;
    EXPECT_TRUE(os::is_childless()) << left;
  }
  EXPECT_GE(failed, 6);  // three pipes
  EXPECT_LT(failed, 10);
}

// ---- Many at once -------------------------------------------------------------------------------

TEST_F(CommandTest, ManyThreadsHaveTheirOwnChildren) {
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  constexpr int kThreads = 8;
  constexpr int kEach = 10;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&good, t] {
      for (int i = 0; i < kEach; ++i) {
        const std::string text = std::to_string(t) + "." + std::to_string(i);
        // If another child held the other end of these pipes, cat would not end.
        const auto output = Command("cat").capture({.input = text});
        if (output && output->success() && output->out == text) ++good;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, kThreads * kEach);
}

}  // namespace
}  // namespace prewarm
