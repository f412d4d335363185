// SPDX-License-Identifier: MIT
//
// That a cold launch agrees with a parked one is shown in park/rungs_test.cc; here is what only
// concerns this rung.
#include "launch/exec_cold.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "launch/testing.h"
#include "os/testing.h"

namespace prewarm::launch {
namespace {

using os::Child;
using os::Fd;

struct Outcome {
  std::string text;
  int status;
};

// Applies `request` in a forked child, with a pipe as descriptor 1 and 2 where the request doesn't
// say otherwise. `before` runs in the child first.
Outcome launch(TestRequest& request, const std::function<void()>& before = {}) {
  os::Pipe output = os::make_pipe();
  if (request.descriptors.empty()) {
    request.descriptors = {{output.write.get(), 1}, {output.write.get(), 2}};
  }
  std::vector<char> bytes;
  EXPECT_TRUE(write_request(request.get(), 0, bytes));
  const std::vector<int> sources = request.sources();
  Child child([&] {
    if (before) before();
    RequestView view{};
    if (!parse_request(bytes.data(), bytes.size(), view)) return 99;
    exec_cold(request.path.c_str(), view, sources);
  });
  output.write.reset();
  Outcome outcome{os::read_all(output.read.get()), 0};
  outcome.status = child.wait();
  return outcome;
}

void expect_exit(const Outcome& outcome, int code) {
  EXPECT_TRUE(WIFEXITED(outcome.status)) << outcome.status;
  EXPECT_EQ(WEXITSTATUS(outcome.status), code) << outcome.text;
}

TestRequest shell(const std::string& script) {
  TestRequest r({"/bin/sh", "-c", script});
  r.env = {"PATH=/usr/bin:/bin"};
  return r;
}

TEST(ExecColdTest, PassesArgumentsEnvironmentAndStatus) {
  TestRequest r = shell("printf '%s,' \"$0\" \"$@\" \"$V\"; exit 7");
  r.argv.insert(r.argv.end(), {"zero", "", "two\nlines", "\xff"});
  r.env.push_back("V=of the environment");
  const Outcome o = launch(r);
  EXPECT_EQ(o.text, "zero,,two\nlines,\xff,of the environment,");
  expect_exit(o, 7);
}

TEST(ExecColdTest, AMissingProgramIs127) {
  TestRequest r({"/nonexistent/program"});
  expect_exit(launch(r), 127);
}

TEST(ExecColdTest, AProgramThatCannotBeExecutedIs126) {
  TestRequest directory({"/usr"});
  expect_exit(launch(directory), 126);
  const os::TempDirectory temp;
  os::write_file(temp / "text", "no program\n");
  TestRequest text({temp / "text"});
  expect_exit(launch(text), 126);
}

TEST(ExecColdTest, PutsDescriptorsAtTheirNumbersWithoutCloseOnExec) {
  const os::TempDirectory temp;
  os::write_file(temp / "first", "1");
  os::write_file(temp / "second", "2");
  const Fd first(::open((temp / "first").c_str(), O_RDONLY | O_CLOEXEC));
  const Fd second(::open((temp / "second").c_str(), O_RDONLY | O_CLOEXEC));
  os::Pipe output = os::make_pipe();
  // Each where the other is, which only works if both are moved out of the way first.
  TestRequest r = shell("cat /proc/self/fd/" + std::to_string(first.get()) + " /proc/self/fd/" +
                        std::to_string(second.get()) + " /proc/self/fd/150");
  r.descriptors = {{output.write.get(), 1},
                   {second.get(), first.get()},
                   {first.get(), second.get()},
                   {second.get(), 150}};
  if (first.get() > second.get()) std::swap(r.descriptors[1], r.descriptors[2]);
  launch(r);
  output.write.reset();
  EXPECT_EQ(os::read_all(output.read.get()), "212");
}

// Whatever else this process has open is not the program's: below, between and above the targets.
TEST(ExecColdTest, ClosesEveryOtherDescriptor) {
  os::Pipe output = os::make_pipe();
  TestRequest r({"/bin/ls", "/proc/self/fd"});
  r.descriptors = {{output.write.get(), 1}, {output.write.get(), 20}};
  launch(r, [] {
    for (const int stray : {0, 2, 8, 19, 21, 300}) ::dup2(::open("/dev/null", O_RDONLY), stray);
  });
  output.write.reset();
  // Number 0 is free, so the directory that ls reads is there.
  EXPECT_EQ(os::read_all(output.read.get()), "0\n1\n20\n");
}

TEST(ExecColdTest, GivesNoDescriptorsIfNoneAreAskedFor) {
  const os::TempDirectory temp;
  TestRequest r({"/bin/ls", "/proc/self/fd"});
  r.set_up = {set_up_open(1, temp / "out", O_WRONLY | O_CREAT)};
  std::vector<char> bytes;
  ASSERT_TRUE(write_request(r.get(), 0, bytes));
  const std::vector<int> sources = r.sources();
  Child child([&] {
    RequestView view{};
    if (!parse_request(bytes.data(), bytes.size(), view)) return 99;
    exec_cold(r.path.c_str(), view, sources);
  });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(os::read_file(temp / "out"), "0\n1\n");
}

TEST(ExecColdTest, SetsWorkingDirectoryAndUmask) {
  const os::TempDirectory temp;
  TestRequest r = shell("pwd -P; umask");
  r.cwd.reset(::open(temp.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  r.umask = 0137;
  EXPECT_EQ(launch(r).text, std::filesystem::canonical(temp.path()).string() + "\n0137\n");
}

TEST(ExecColdTest, SetsSignalMaskAndDispositionsWhateverTheyWere) {
  TestRequest r({"/bin/cat", "/proc/self/status"});
  r.signal_mask = signal_bit(SIGTERM) | signal_bit(40);
  r.signal_ignored = signal_bit(SIGHUP) | signal_bit(41);
  const Outcome o = launch(r, [] {
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGHUP, SIG_DFL);
    sigset_t other;
    sigemptyset(&other);
    sigaddset(&other, SIGUSR1);
    ::sigprocmask(SIG_SETMASK, &other, nullptr);
  });
  EXPECT_NE(o.text.find("SigBlk:\t0000008000004000\n"
                        "SigIgn:\t0000010000000001\n"
                        "SigCgt:\t0000000000000000\n"),
            std::string::npos)
      << o.text;
}

TEST(ExecColdTest, PutsTheProgramIntoItsProcessGroup) {
  // Field 5 of the line is the group; the name in field 2 has no blanks.
  TestRequest r = shell(
      "read -r pid name state parent group rest </proc/self/stat; "
      "[ $pid = $group ] && echo own || echo inherited");
  EXPECT_EQ(launch(r).text, "inherited\n");
  r.descriptors.clear();
  r.process_group = 0;
  EXPECT_EQ(launch(r).text, "own\n");
}

TEST(ExecColdTest, RunsOperationsInOrder) {
  const os::TempDirectory temp;
  TestRequest r = shell("echo out; echo err >&2; echo five >&5");
  r.set_up = {set_up_open(1, temp / "out", O_WRONLY | O_CREAT | O_TRUNC), set_up_dup(1, 2),
              set_up_open(1, temp / "late", O_WRONLY | O_CREAT, 0600), set_up_dup(1, 5),
              set_up_close(1)};
  r.umask = 0027;
  const Outcome o = launch(r);
  // The shell's own complaint about its closed standard output goes to standard error.
  EXPECT_TRUE(os::read_file(temp / "out").ends_with("err\n")) << os::read_file(temp / "out");
  EXPECT_EQ(os::read_file(temp / "late"), "five\n");
  EXPECT_EQ(o.text, "");
  struct stat s{};
  ASSERT_EQ(::stat((temp / "out").c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 07777, 0640U) << "after the umask";
  ASSERT_EQ(::stat((temp / "late").c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 07777, 0600U);
}

TEST(ExecColdTest, AFailingOpenIsReportedOnWhatIsThenStandardError) {
  const os::TempDirectory temp;
  TestRequest r = shell("echo never");
  r.set_up = {set_up_open(2, temp / "err", O_WRONLY | O_CREAT),
              set_up_open(0, "/nonexistent/in", O_RDONLY, 0, "script: line 3: "),
              set_up_open(1, temp / "never", O_WRONLY | O_CREAT)};
  const Outcome o = launch(r);
  expect_exit(o, 1);
  EXPECT_EQ(o.text, "");
  EXPECT_EQ(os::read_file(temp / "err"),
            "script: line 3: /nonexistent/in: No such file or directory\n");
  EXPECT_FALSE(std::filesystem::exists(temp / "never"));
}

// Makes the heap unreadable, as it may be unusable for who was forked in the middle of malloc.
bool forbid_heap() {
  std::FILE* maps = std::fopen("/proc/self/maps", "re");
  char line[512];
  unsigned long start = 0;
  unsigned long end = 0;
  while (maps != nullptr && std::fgets(line, sizeof line, maps) != nullptr) {
    if (std::strstr(line, "[heap]") != nullptr) std::sscanf(line, "%lx-%lx", &start, &end);
  }
  if (maps != nullptr) std::fclose(maps);
  return end == 0 || ::mprotect(reinterpret_cast<void*>(start), end - start, PROT_NONE) == 0;
}

// What the child needs lies in memory of its own.
Outcome launch_without_heap(const TestRequest& request) {
  alignas(8) static char bytes[4096];
  static int sources[8];
  static char path[256];
  os::Pipe output = os::make_pipe();
  TestRequest r(request.argv);
  r.env = request.env;
  r.set_up = request.set_up;
  r.descriptors = {{output.write.get(), 1}, {output.write.get(), 2}};
  std::vector<char> wire;
  EXPECT_TRUE(write_request(r.get(), 0, wire));
  const std::vector<int> fds = r.sources();
  std::copy(wire.begin(), wire.end(), bytes);
  std::copy(fds.begin(), fds.end(), sources);
  std::strcpy(path, r.path.c_str());
  Child child([size = wire.size(), count = fds.size()] {
    if (!forbid_heap()) return 98;
    RequestView view{};
    if (!parse_request(bytes, size, view)) return 99;
    exec_cold(path, view, {sources, count});
  });
  output.write.reset();
  Outcome outcome{os::read_all(output.read.get()), 0};
  outcome.status = child.wait();
  return outcome;
}

TEST(ExecColdTest, AllocatesNothing) {
  TestRequest r = shell("echo \"$0 $V\"; exit 7");
  r.argv.push_back("argument");
  r.env.push_back("V=value");
  r.set_up = {set_up_open(0, "/dev/null", O_RDONLY), set_up_dup(1, 2), set_up_close(5)};
  const Outcome o = launch_without_heap(r);
  EXPECT_EQ(o.text, "argument value\n");
  expect_exit(o, 7);
}

TEST(ExecColdTest, AllocatesNothingForAMessageEither) {
  TestRequest r = shell("echo never");
  r.set_up = {set_up_open(0, "/nonexistent/in", O_RDONLY, 0, "script: line 3: ")};
  const Outcome o = launch_without_heap(r);
  EXPECT_EQ(o.text, "script: line 3: /nonexistent/in: No such file or directory\n");
  expect_exit(o, 1);
}

}  // namespace
}  // namespace prewarm::launch
