// SPDX-License-Identifier: MIT
//
// What a program may use, where it is, and to which session and terminal it belongs.
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "cold/testing.h"

namespace prewarm::cold {
namespace {

class Resources : public RingTest {
 protected:
  // Its own /proc/self/stat, in fields that are counted from 1 (proc(5)).
  std::vector<std::string> stat(std::vector<Operation> row) {
    const std::string text = program(std::move(row), {"/bin/cat", "/proc/self/stat"});
    const std::size_t behind_name = text.rfind(')');
    if (behind_name == std::string::npos) {
      ADD_FAILURE() << text;
      return std::vector<std::string>(kStatFields);
    }
    std::vector<std::string> fields = {"", text.substr(0, text.find(' ')), "(cat)"};
    std::istringstream rest(text.substr(behind_name + 1));
    for (std::string field; rest >> field;) fields.push_back(field);
    fields.resize(kStatFields);
    return fields;
  }

  static constexpr std::size_t kStatFields = 64;
  // Numbers of fields.
  enum : std::size_t { pid = 1, group = 5, session = 6, terminal = 7, front = 8, policy = 41 };
};
INSTANTIATE_TEST_SUITE_P(Backends, Resources, executor_kinds(), name_of);

TEST_P(Resources, AnyLimitCanBeSet) {
  std::vector<Operation> row;
  std::string expected;
  for (int resource = 0; resource < RLIM_NLIMITS; ++resource) {
    rlimit limit{};
    ASSERT_EQ(::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit), 0);
    // Large enough for the program, and different for each.
    limit.rlim_max = std::min<rlim_t>(limit.rlim_max, 3'000'000'000 + resource);
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 2'000'000'000 + resource);
    row.push_back(op::limit(resource, limit));
    expected += std::to_string(limit.rlim_cur) + " " + std::to_string(limit.rlim_max) + "\n";
  }
  // A heading, then one line for each in the order of their numbers; names have blanks in them.
  std::istringstream lines(program(row, {"/bin/cat", "/proc/self/limits"}));
  std::string line;
  std::getline(lines, line);
  std::string seen;
  while (std::getline(lines, line)) {
    std::istringstream columns(line.substr(std::min<std::size_t>(25, line.size())));
    std::string soft;
    std::string hard;
    columns >> soft >> hard;
    seen += soft + " " + hard + "\n";
  }
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(run({op::limit(RLIM_NLIMITS, {1, 1})}).results[2], -EINVAL);
  EXPECT_EQ(run({op::limit(RLIMIT_CORE, {2, 1})}).results[2], -EINVAL);
}

TEST_P(Resources, NiceIsAbsolute) {
  EXPECT_EQ(program({op::nice(5), op::nice(9)}, {"/usr/bin/nice"}), "9\n");
}

TEST_P(Resources, SchedulerIsThePolicyAndPriority) {
  EXPECT_EQ(stat({op::scheduler(SCHED_BATCH, 0)})[policy], std::to_string(SCHED_BATCH));
  EXPECT_EQ(stat({op::scheduler(SCHED_IDLE, 0)})[policy], std::to_string(SCHED_IDLE));
  EXPECT_EQ(run({op::scheduler(SCHED_FIFO, 0)}).results[2], -EINVAL);
  EXPECT_EQ(run({op::scheduler(SCHED_OTHER, 1)}).results[2], -EINVAL);
}

TEST_P(Resources, AffinityIsASetOfProcessors) {
  cpu_set_t allowed;
  ASSERT_EQ(::sched_getaffinity(0, sizeof allowed, &allowed), 0);
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (!CPU_ISSET(processor, &allowed)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    EXPECT_EQ(
        program({op::affinity(one)}, {"/bin/grep", "^Cpus_allowed_list:", "/proc/self/status"}),
        "Cpus_allowed_list:\t" + std::to_string(processor) + "\n");
  }
  cpu_set_t none;
  CPU_ZERO(&none);
  EXPECT_EQ(run({op::affinity(none)}).results[2], -EINVAL);
}

TEST_P(Resources, OomScoreIsWithinItsBounds) {
  EXPECT_EQ(program({op::oom_score(1000)}, {"/bin/cat", "/proc/self/oom_score_adj"}), "1000\n");
  EXPECT_EQ(run({op::oom_score(1001)}).results, (std::vector{-ECANCELED, -ECANCELED, -EINVAL}));
  EXPECT_EQ(run({op::oom_score(-1001)}).results[2], -EINVAL);
}

TEST_P(Resources, UmaskIsOfThePermissions) {
  const os::TempDirectory files;
  const std::string made = files / "made";
  EXPECT_EQ(shell({op::umask(027), op::open(3, made.c_str(), O_WRONLY | O_CREAT, 0777)}, "umask"),
            "0027\n");
  struct stat status{};
  ASSERT_EQ(::stat(made.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0750U);
}

TEST_P(Resources, ItIsWhereItWasSent) {
  const os::TempDirectory files;
  ASSERT_EQ(::mkdir((files / "inner").c_str(), 0700), 0);
  const std::string outer = std::filesystem::canonical(files.path());
  const Fd directory(::open(outer.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(program({op::fchdir(directory.get())}, {"/bin/pwd"}), outer + "\n");
  // Each is relative to where the one before has led.
  EXPECT_EQ(program({op::fchdir(directory.get()), op::chdir("inner")}, {"/bin/pwd"}),
            outer + "/inner\n");
  EXPECT_EQ(run({op::fchdir(1)}).results[2], -ENOTDIR);
  EXPECT_EQ(run({op::fchdir(1000)}).results[2], -EBADF);
  EXPECT_EQ(run({op::chdir("/bin/true")}).results[2], -ENOTDIR);
  // The caller has stayed.
  EXPECT_NE(std::filesystem::current_path(), outer);
}

// A directory of cgroup v2 in which groups can be made; empty without one.
std::string cgroup_root() {
  std::istringstream mounts(os::read_file("/proc/self/mounts"));
  std::string line;
  while (std::getline(mounts, line)) {
    std::istringstream columns(line);
    std::string device;
    std::string place;
    std::string type;
    columns >> device >> place >> type;
    if (type == "cgroup2" && ::access(place.c_str(), W_OK) == 0) return place;
  }
  return {};
}

TEST_P(Resources, ItBeginsInACgroupOrMovesThere) {
  const std::string root = cgroup_root();
  if (root.empty()) GTEST_SKIP() << "no cgroup v2 that can be written to";
  const std::string name = "prewarm-test-" + std::to_string(::getpid());
  const std::string path = root + "/" + name;
  if (::mkdir(path.c_str(), 0700) != 0) GTEST_SKIP() << "no cgroup can be made in " << root;
  {
    const Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const std::vector<std::string> look = {"/bin/grep", "^0::", "/proc/self/cgroup"};
    CloneOptions options;
    options.cgroup = directory.get();
    const std::string begun = program({}, look, options);
    EXPECT_TRUE(begun.ends_with("/" + name + "\n")) << begun;
    const std::string moved = program({op::cgroup(directory.get())}, look);
    EXPECT_EQ(moved, begun);
    EXPECT_NE(program({}, look), begun);
  }
  EXPECT_EQ(::rmdir(path.c_str()), 0);
}

TEST_P(Resources, WhatIsNoCgroupIsAnError) {
  const os::TempDirectory files;
  const Fd directory(::open(files.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(run({op::cgroup(directory.get())}).results[2], -ENOENT);
  CloneOptions options;
  options.cgroup = directory.get();
  const Outcome o = run({}, options);
  EXPECT_EQ(o.results, (std::vector{-EBADF, -ECANCELED}));
}

TEST_P(Resources, ASessionOrAGroupOfItsOwn) {
  auto fields = stat({op::setsid()});
  EXPECT_EQ(fields[session], fields[pid]);
  EXPECT_EQ(fields[group], fields[pid]);
  fields = stat({op::setpgid(0)});
  EXPECT_EQ(fields[session], std::to_string(::getsid(0)));
  EXPECT_EQ(fields[group], fields[pid]);
  // A group of outside this pid namespace has no number here.
  if (::getpgrp() != 0) {
    fields = stat({op::setpgid(0), op::setpgid(::getpgrp())});
    EXPECT_EQ(fields[group], std::to_string(::getpgrp()));
  }
  EXPECT_EQ(run({op::setsid(), op::setsid()}).results[3], -EPERM);
  EXPECT_EQ(run({op::setsid(), op::setpgid(0)}).results[3], -EPERM);
}

// A terminal that is nobody's yet.
class Pty {
 public:
  Pty() : master_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    if (!master_.valid() || ::grantpt(master_.get()) != 0 || ::unlockpt(master_.get()) != 0) return;
    char name[64];
    if (::ptsname_r(master_.get(), name, sizeof name) != 0) return;
    slave_.reset(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  }
  bool valid() const { return slave_.valid(); }
  int fd() const { return slave_.get(); }

 private:
  Fd master_;
  Fd slave_;
};

TEST_P(Resources, ANewSessionTakesATerminal) {
  const Pty pty;
  if (!pty.valid()) GTEST_SKIP() << "no pseudoterminals here";
  const auto fields = stat({op::setsid(), op::take_terminal(pty.fd())});
  struct stat device{};
  ASSERT_EQ(::fstat(pty.fd(), &device), 0);
  EXPECT_EQ(fields[terminal], std::to_string(device.st_rdev));
  EXPECT_EQ(fields[front], fields[pid]);
  EXPECT_EQ(run({op::take_terminal(pty.fd())}).results[2], -EPERM) << "its session isn't new";
  EXPECT_EQ(run({op::setsid(), op::take_terminal(1)}).results[3], -ENOTTY);
}

TEST_P(Resources, OfASessionWithATerminalOneDropsItOrComesToTheFront) {
  const Pty pty;
  if (!pty.valid()) GTEST_SKIP() << "no pseudoterminals here";
  EXPECT_EQ(in_child([&]() -> std::string {
              if (::setsid() < 0 || ::ioctl(pty.fd(), TIOCSCTTY, 0) != 0) return "no terminal";
              const std::string own = std::to_string(::getpgrp());
              auto fields = stat({op::setpgid(0)});
              std::string text = fields[terminal] != "0" && fields[front] == own ? "behind " : "? ";
              fields = stat({op::drop_terminal()});
              text += fields[terminal] == "0" ? "without " : "? ";
              fields = stat({op::setpgid(0), op::foreground(pty.fd())});
              text += fields[front] == fields[pid] ? "front" : "?";
              return text;
            }),
            "behind without front");
}

TEST_P(Resources, ThereMayBeNoTerminalToDrop) {
  EXPECT_EQ(stat({op::setsid(), op::drop_terminal()})[terminal], "0");
  EXPECT_EQ(run({op::foreground(1)}).results[2], -ENOTTY);
}

}  // namespace
}  // namespace prewarm::cold
