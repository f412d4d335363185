// SPDX-License-Identifier: MIT
//
// One suite for every way to serve a request: a clone of a parked program, a program that was
// parked by itself, and a plain exec. What the program can observe of itself must be the same.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstdio>
#include <functional>

#include "launch/exec_cold.h"
#include "park/testing.h"

namespace prewarm::park {
namespace {

using launch::RequestView;
using launch::set_up_close;
using launch::set_up_dup;
using launch::set_up_open;
using launch::signal_bit;
using launch::TestRequest;

enum class Rung { clone, exec, cold };

class RungsTest : public PoolFixture, public ::testing::WithParamInterface<Rung> {
 protected:
  // Launches `request`; its descriptors are the usual ones if it names none.
  Outcome serve(TestRequest& request) {
    os::Pipe output = os::make_pipe();
    const os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (request.descriptors.empty()) use_pipe(request, output, null);
    const pid_t pid = GetParam() == Rung::cold ? start_cold(request) : start_parked(request);
    output.write.reset();
    Outcome outcome;
    outcome.text = os::read_all(output.read.get());
    if (GetParam() == Rung::cold) {
      outcome.status = os::wait_for(pid);
    } else {
      EXPECT_EQ(reap(pid, &outcome.status), Ended::launched);
    }
    return outcome;
  }

  // The same for a command that must succeed: what it writes.
  std::string output_of(TestRequest& request) {
    const Outcome o = serve(request);
    EXPECT_EQ(exit_of(o), "exit 0") << o.text;
    return o.text;
  }
  std::string output_of(std::vector<std::string> command) {
    TestRequest request(std::move(command));
    return output_of(request);
  }

  // A field of /proc/self/status, as the program sees it.
  std::string status_field(TestRequest& request, const std::string& field) {
    const std::string text = "\n" + output_of(request);
    const std::size_t at = text.find("\n" + field + ":\t");
    if (at == std::string::npos) return "no " + field;
    const std::size_t start = at + field.size() + 3;
    return text.substr(start, text.find('\n', start) - start);
  }

  // Does something to a parked process just before its request is sent.
  std::function<void(pid_t)> before_release;

 private:
  pid_t start_cold(TestRequest& request) {
    std::vector<char> bytes;
    EXPECT_TRUE(launch::write_request(request.get(), 0, bytes));
    const std::vector<int> sources = request.sources();
    const pid_t pid = os::fork_flushed();
    if (pid == 0) {
      RequestView view{};
      if (!launch::parse_request(bytes.data(), bytes.size(), view)) ::_exit(99);
      launch::exec_cold(request.path.c_str(), view, sources);
    }
    return pid;
  }

  pid_t start_parked(TestRequest& request) {
    unsigned program = 0;
    park(request.path, 1, program, GetParam() == Rung::clone ? Isolation::clone : Isolation::exec);
    const Claim claimed = claim(program);
    EXPECT_EQ(claimed.slot < 0, GetParam() == Rung::exec);
    if (before_release) before_release(claimed.pid);
    EXPECT_TRUE(pool().release(claimed, request.get()));
    return claimed.pid;
  }
};

std::string name_of(const ::testing::TestParamInfo<Rung>& info) {
  return info.param == Rung::clone ? "Clone" : info.param == Rung::exec ? "Exec" : "Cold";
}
INSTANTIATE_TEST_SUITE_P(All, RungsTest, ::testing::Values(Rung::clone, Rung::exec, Rung::cold),
                         name_of);

std::string joined(const std::vector<std::string>& strings) {
  std::string text;
  for (const auto& s : strings) text += s + '\0';
  return text;
}

// ---- Arguments and environment -----------------------------------------------------------------

TEST_P(RungsTest, Arguments) {
  TestRequest r({kPrintf, "%s|", "", "two\nlines", "\xff\xfe", " ", "-n", "$HOME", "end"});
  EXPECT_EQ(output_of(r), "|two\nlines|\xff\xfe| |-n|$HOME|end|");
}

TEST_P(RungsTest, TheNameThatAProgramIsCalledBy) {
  TestRequest r({"/no/such/dir/my name", "--nonexistent-option"});
  r.path = kCat;
  const Outcome o = serve(r);
  EXPECT_EQ(exit_of(o), "exit 1");
  EXPECT_TRUE(o.text.starts_with("/no/such/dir/my name: ")) << o.text;
}

TEST_P(RungsTest, AnArgumentOf128KiB) {
  const std::string big(131071, 'x');
  EXPECT_EQ(output_of({kPrintf, "%s", big}), big);
}

TEST_P(RungsTest, ManyArguments) {
  std::vector<std::string> command{kPrintf, "%s "};
  std::string wanted;
  for (int i = 0; i < 20000; ++i) {
    command.push_back(std::to_string(i));
    wanted += std::to_string(i) + " ";
  }
  EXPECT_EQ(output_of(command), wanted);
}

TEST_P(RungsTest, EnvironmentInItsOrder) {
  TestRequest r({kEnv, "-0"});
  r.env = {"Z=1", "A=2\nand", "EMPTY=", "=odd", "A=again", "\xe9=\xff", "PATH=/nowhere"};
  EXPECT_EQ(output_of(r), joined(r.env));
}

TEST_P(RungsTest, NoEnvironment) {
  TestRequest r({kEnv, "-0"});
  EXPECT_EQ(output_of(r), "");
}

TEST_P(RungsTest, AnEnvironmentOfOneMegabyte) {
  TestRequest r({kEnv, "-0"});
  for (int i = 0; i < 16; ++i) {
    r.env.push_back("V" + std::to_string(i) + "=" + std::string(65536, static_cast<char>('a' + i)));
  }
  EXPECT_EQ(output_of(r), joined(r.env));
}

// Around the size from which on a request travels in a memfd.
TEST_P(RungsTest, RequestsOfEverySizeAroundTheInlineLimit) {
  for (int more = -128; more <= 128; more += 32) {
    const std::string text(
        static_cast<std::size_t>(static_cast<int>(launch::kInlineBytes) - 200 + more), 's');
    EXPECT_EQ(output_of({kPrintf, "%s", text}), text) << more;
  }
}

TEST_P(RungsTest, WhatTheKernelShowsOfArgumentsAndEnvironment) {
  TestRequest line({kCat, "", "/proc/self/cmdline"});
  line.argv = {"cat", "--", "/proc/self/cmdline"};
  line.env = {"A=b"};
  EXPECT_EQ(output_of(line), joined(line.argv));
  TestRequest environment({kCat, "/proc/self/environ"});
  environment.env = {"Z=1", "NOEQUALS", "A=\n"};
  EXPECT_EQ(output_of(environment), joined(environment.env));
}

TEST_P(RungsTest, WhatTheKernelCallsIt) {
  TestRequest name({"called something else", "/proc/self/comm"});
  name.path = kCat;
  EXPECT_EQ(output_of(name), "cat\n");
  EXPECT_EQ(output_of({"/usr/bin/readlink", "/proc/self/exe"}), "/usr/bin/readlink\n");
}

// ---- Place -------------------------------------------------------------------------------------

TEST_P(RungsTest, WorkingDirectory) {
  const os::TempDirectory temp;
  TestRequest r({"/usr/bin/readlink", "/proc/self/cwd"});
  r.cwd.reset(::open(temp.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(output_of(r), std::filesystem::canonical(temp.path()).string() + "\n");
}

TEST_P(RungsTest, AWorkingDirectoryThatIsGone) {
  const os::TempDirectory temp;
  std::filesystem::create_directory(temp / "gone");
  TestRequest r({"/usr/bin/readlink", "/proc/self/cwd"});
  r.cwd.reset(::open((temp / "gone").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::filesystem::remove(temp / "gone");
  EXPECT_TRUE(output_of(r).ends_with("/gone (deleted)\n"));
}

TEST_P(RungsTest, Umask) {
  for (const mode_t mask : {0U, 022U, 0777U}) {
    TestRequest r({kCat, "/proc/self/status"});
    r.umask = mask;
    char wanted[8];
    std::snprintf(wanted, sizeof wanted, "%04o", mask);
    EXPECT_EQ(status_field(r, "Umask"), wanted);
  }
}

TEST_P(RungsTest, ItIsAChildOfTheCallerWithOneThread) {
  TestRequest r({kCat, "/proc/self/status"});
  EXPECT_EQ(status_field(r, "PPid"), std::to_string(::getpid()));
  r.descriptors.clear();
  EXPECT_EQ(status_field(r, "Threads"), "1");
}

TEST_P(RungsTest, ProcessGroup) {
  TestRequest r({kShell, "-c",
                 "read -r pid name state parent group rest </proc/self/stat; "
                 "[ $pid = $group ] && echo own || echo $group"});
  EXPECT_EQ(output_of(r), std::to_string(::getpgrp()) + "\n");
  r.descriptors.clear();
  r.process_group = 0;
  EXPECT_EQ(output_of(r), "own\n");
}

TEST_P(RungsTest, NothingEndsItWithItsParent) {
  EXPECT_NE(output_of({"/usr/bin/setpriv", "--dump"}).find("Parent death signal: [none]"),
            std::string::npos);
}

// ---- Descriptors -------------------------------------------------------------------------------

// The program's descriptors as ls sees them, without the directory that it reads.
std::set<int> listed(const std::string& text) {
  std::set<int> numbers;
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    numbers.insert(std::atoi(text.c_str() + at));
  }
  return numbers;
}

std::set<int> with_lowest_free(std::set<int> numbers) {
  int lowest = 0;
  while (numbers.contains(lowest)) ++lowest;
  numbers.insert(lowest);
  return numbers;
}

TEST_P(RungsTest, ExactlyTheDescriptorsAskedFor) {
  const os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const std::vector<std::set<int>> sets = {
      {1}, {0, 1, 2}, {1, 2}, {0, 1, 2, 3, 9, 10, 250}, {1, 62, 63, 64, 65, 66, 69, 70, 71}};
  for (const std::set<int>& wanted : sets) {
    os::Pipe output = os::make_pipe();
    TestRequest r({"/bin/ls", "/proc/self/fd"});
    for (const int fd : wanted) {
      r.descriptors.push_back({fd == 1 ? output.write.get() : null.get(), fd});
    }
    serve(r);
    output.write.reset();
    EXPECT_EQ(listed(os::read_all(output.read.get())), with_lowest_free(wanted));
  }
}

TEST_P(RungsTest, AsManyDescriptorsAsAMessageCarries) {
  const os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  os::Pipe output = os::make_pipe();
  TestRequest r({"/bin/ls", "/proc/self/fd"});
  std::set<int> wanted;
  for (int fd = 0; fd < static_cast<int>(launch::kMaxDescriptors); ++fd) {
    r.descriptors.push_back({fd == 1 ? output.write.get() : null.get(), fd});
    wanted.insert(fd);
  }
  serve(r);
  output.write.reset();
  EXPECT_EQ(listed(os::read_all(output.read.get())), with_lowest_free(wanted));
}

// With a request in a memfd, one descriptor more travels; it must not stay.
TEST_P(RungsTest, ALargeRequestLeavesNoDescriptorBehind) {
  TestRequest r({"/bin/ls", "/proc/self/fd"});
  r.env = {"BIG=" + std::string(100000, 'x')};
  EXPECT_EQ(output_of(r), "0\n1\n2\n3\n");
}

TEST_P(RungsTest, EachDescriptorIsTheOneThatWasMeant) {
  const os::TempDirectory temp;
  std::vector<os::Fd> files;
  TestRequest r({kCat});
  os::Pipe output = os::make_pipe();
  r.descriptors = {{output.write.get(), 1}};
  // In the opposite order of their sources, so that none may be put in place before all are moved.
  constexpr int kFiles = 12;
  std::string wanted;
  for (int i = 0; i < kFiles; ++i) {
    const std::string name = temp / std::to_string(i);
    os::write_file(name, std::to_string(i) + ";");
    files.emplace_back(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  }
  for (int i = 0; i < kFiles; ++i) {
    r.descriptors.push_back({files[static_cast<std::size_t>(kFiles - 1 - i)].get(), 3 + i});
    r.argv.push_back("/proc/self/fd/" + std::to_string(3 + i));
    wanted += std::to_string(kFiles - 1 - i) + ";";
  }
  serve(r);
  output.write.reset();
  EXPECT_EQ(os::read_all(output.read.get()), wanted);
}

TEST_P(RungsTest, DescriptorsShareTheirOffset) {
  const os::TempDirectory temp;
  os::write_file(temp / "text", "0123456789");
  const os::Fd file(::open((temp / "text").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::lseek(file.get(), 4, SEEK_SET), 4);
  os::Pipe output = os::make_pipe();
  TestRequest r({"/usr/bin/head", "-c", "3"});
  r.descriptors = {{file.get(), 0}, {output.write.get(), 1}};
  serve(r);
  output.write.reset();
  EXPECT_EQ(os::read_all(output.read.get()), "456");
  EXPECT_EQ(::lseek(file.get(), 0, SEEK_CUR), 7);
}

TEST_P(RungsTest, DescriptorsDoNotCloseOnExec) {
  const os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const os::TempDirectory temp;
  os::Pipe output = os::make_pipe();
  TestRequest r({kCat, "/proc/self/fdinfo/5", "/proc/self/fdinfo/6"});
  r.descriptors = {{output.write.get(), 1}, {null.get(), 5}};
  r.set_up = {set_up_open(6, "/dev/null", O_RDWR)};
  serve(r);
  output.write.reset();
  const std::string text = os::read_all(output.read.get());
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find("flags:\t", at)) != std::string::npos; ++found) {
    at += 7;
    EXPECT_EQ(std::strtoul(text.c_str() + at, nullptr, 8) & O_CLOEXEC, 0U) << text;
  }
  EXPECT_EQ(found, 2U) << text;
}

TEST_P(RungsTest, ClosedStandardDescriptors) {
  const os::TempDirectory temp;
  const os::Fd errors(::open((temp / "err").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  TestRequest r({kCat, "/dev/null"});
  r.descriptors = {{errors.get(), 2}};
  EXPECT_EQ(exit_of(serve(r)), "exit 1");
  EXPECT_EQ(os::read_file(temp / "err"), "/usr/bin/cat: standard output: Bad file descriptor\n");
}

// The highest number that there may be, as after `exec 1023>file` in a shell; also among so many
// that some have to make room for each other.
TEST_P(RungsTest, TheHighestDescriptor) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const int highest = static_cast<int>(limit.rlim_cur) - 1;
  const os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (const int others : {3, 70}) {
    os::Pipe output = os::make_pipe();
    TestRequest r({"/bin/ls", "/proc/self/fd"});
    std::set<int> wanted;
    for (int fd = 0; fd < others; ++fd) {
      r.descriptors.push_back({fd == 1 ? output.write.get() : null.get(), fd});
      wanted.insert(fd);
    }
    r.descriptors.push_back({null.get(), highest});
    wanted.insert(highest);
    EXPECT_EQ(exit_of(serve(r)), "exit 0") << "with " << others << " others";
    output.write.reset();
    EXPECT_EQ(listed(os::read_all(output.read.get())), with_lowest_free(wanted));
  }
}

// ---- Signals -----------------------------------------------------------------------------------

TEST_P(RungsTest, SignalMaskAndDispositions) {
  TestRequest r({kCat, "/proc/self/status"});
  r.signal_mask = signal_bit(SIGTERM) | signal_bit(SIGCHLD) | signal_bit(64);
  r.signal_ignored = signal_bit(SIGHUP) | signal_bit(SIGPIPE) | signal_bit(SIGRTMIN + 3);
  char mask[20];
  char ignored[20];
  std::snprintf(mask, sizeof mask, "%016lx", r.signal_mask);
  std::snprintf(ignored, sizeof ignored, "%016lx", r.signal_ignored);
  EXPECT_EQ(status_field(r, "SigBlk"), mask);
  r.descriptors.clear();
  EXPECT_EQ(status_field(r, "SigIgn"), ignored);
  r.descriptors.clear();
  EXPECT_EQ(status_field(r, "SigCgt"), "0000000000000000");
}

TEST_P(RungsTest, NoSignalsAreBlockedIgnoredOrPendingUnlessAskedFor) {
  before_release = [](pid_t pid) {
    for (const int sig : {SIGCHLD, SIGURG, SIGWINCH, SIGTSTP, SIGCONT}) ::kill(pid, sig);
  };
  for (const char* field : {"SigBlk", "SigIgn", "SigPnd", "ShdPnd"}) {
    TestRequest r({kCat, "/proc/self/status"});
    EXPECT_EQ(status_field(r, field), "0000000000000000") << field;
  }
}

// Sent to the parked process, but for the program that it is by then: after the release.
TEST_P(RungsTest, ASignalAfterTheReleaseCounts) {
  os::Pipe output = os::make_pipe();
  TestRequest r({kShell, "-c", "kill -USR1 $$; echo survived"});
  EXPECT_EQ(exit_of(serve(r)), "signal 10");
}

// ---- Operations --------------------------------------------------------------------------------

TEST_P(RungsTest, OperationsHappenInOrder) {
  const os::TempDirectory temp;
  TestRequest r({kShell, "-c", "cat; echo err >&2; echo seven >&7"});
  os::write_file(temp / "in", "input\n");
  r.cwd.reset(::open(temp.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  r.env = {"PATH=/usr/bin:/bin"};
  r.umask = 0027;
  r.set_up = {set_up_open(0, "in", O_RDONLY),
              set_up_open(1, "out", O_WRONLY | O_CREAT | O_TRUNC),
              set_up_dup(1, 2),
              set_up_open(7, "late", O_WRONLY | O_CREAT | O_APPEND, 0600),
              set_up_dup(7, 7),
              set_up_close(90)};
  EXPECT_EQ(output_of(r), "");
  EXPECT_EQ(os::read_file(temp / "out"), "input\nerr\n");
  EXPECT_EQ(os::read_file(temp / "late"), "seven\n");
  struct stat s{};
  ASSERT_EQ(::stat((temp / "out").c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 07777, 0640U) << "after the umask";
}

TEST_P(RungsTest, AnOpenedFileTakesTheNumberEvenIfItIsTheLowestFree) {
  const os::TempDirectory temp;
  os::Pipe output = os::make_pipe();
  TestRequest r({"/bin/ls", "/proc/self/fd"});
  r.descriptors = {{output.write.get(), 1}};
  r.set_up = {set_up_open(0, "/dev/null", O_RDONLY), set_up_open(5, "/dev/null", O_RDONLY),
              set_up_close(0)};
  serve(r);
  output.write.reset();
  EXPECT_EQ(os::read_all(output.read.get()), "0\n1\n5\n");
}

TEST_P(RungsTest, AFailingOpenIsReportedOnWhatIsThenStandardError) {
  const os::TempDirectory temp;
  TestRequest r({kShell, "-c", "echo never"});
  r.set_up = {set_up_open(2, temp / "err", O_WRONLY | O_CREAT),
              set_up_open(0, "/nonexistent/in", O_RDONLY, 0, "script: line 3: "),
              set_up_open(1, temp / "never", O_WRONLY | O_CREAT)};
  const Outcome o = serve(r);
  EXPECT_EQ(exit_of(o), "exit 1");
  EXPECT_EQ(o.text, "");
  EXPECT_EQ(os::read_file(temp / "err"),
            "script: line 3: /nonexistent/in: No such file or directory\n");
  EXPECT_FALSE(std::filesystem::exists(temp / "never"));
}

TEST_P(RungsTest, AFailingOpenIsReportedWholeHoweverLongItsNameIs) {
  for (const std::size_t length : {300U, 4095U, 5000U, 20000U}) {
    const std::string name(length, 'n');
    TestRequest r({kCat});
    r.set_up = {set_up_open(0, name, O_RDONLY, 0, "script: line 1: ")};
    const Outcome o = serve(r);
    EXPECT_EQ(exit_of(o), "exit 1");
    EXPECT_EQ(o.text.size(), 16 + length + 2 + 18 + 1) << "File name too long";
    EXPECT_TRUE(o.text == "script: line 1: " + name + ": File name too long\n") << length;
  }
}

TEST_P(RungsTest, ACopyOfNothingLaunchesNothing) {
  TestRequest r({kPrintf, "never"});
  r.set_up = {set_up_dup(77, 3)};
  const Outcome o = serve(r);
  EXPECT_EQ(o.text, "");
  EXPECT_NE(exit_of(o), "exit 0");
}

// ---- Ends --------------------------------------------------------------------------------------

TEST_P(RungsTest, WaitStatus) {
  for (const auto& [script, ending] :
       {std::pair{"exit 0", "exit 0"}, std::pair{"exit 255", "exit 255"},
        std::pair{"kill -TERM $$", "signal 15"}, std::pair{"kill -SEGV $$", "signal 11"}}) {
    TestRequest r({kShell, "-c", script});
    EXPECT_EQ(exit_of(serve(r)), ending);
  }
}

}  // namespace
}  // namespace prewarm::park
