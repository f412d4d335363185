// SPDX-License-Identifier: MIT
//
// The same random calls by our posix_spawn and by the C library's: result and effect agree.
#include <gtest/gtest.h>

#include "cold/testing/posix_spawn.h"

namespace prewarm::cold {
namespace {

using os::Fd;
using os::TempDirectory;

// A small generator of our own: the same calls in each run and on each machine.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed * 2 + 1) {}
  int below(int bound) {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<int>((state_ >> 33) % static_cast<std::uint64_t>(bound));
  }

 private:
  std::uint64_t state_;
};

void add_random_action(Dice& dice, const std::string& directory, Objects& objects) {
  // Some are open in the caller, some are not; a report is never written to them.
  const int fd = 3 + dice.below(12);
  const int other = 3 + dice.below(12);
  const char* const paths[] = {"/dev/null", "/dev/zero", "inner", "..", "nothing", "inner/file"};
  const int flags[] = {O_RDONLY, O_RDONLY | O_CLOEXEC, O_WRONLY, O_RDONLY | O_NOCTTY};
  switch (dice.below(8)) {
    case 0:
      posix_spawn_file_actions_addclose(&objects.actions, fd);
      break;
    case 1:
    case 2:
      posix_spawn_file_actions_adddup2(&objects.actions, fd, other);
      break;
    case 3:
    case 4:
      posix_spawn_file_actions_addopen(&objects.actions, fd, paths[dice.below(6)],
                                       flags[dice.below(4)], 0644);
      break;
    case 5:
      posix_spawn_file_actions_addchdir_np(
          &objects.actions, dice.below(2) == 0 ? directory.c_str() : paths[dice.below(6)]);
      break;
    case 6:
      posix_spawn_file_actions_addfchdir_np(&objects.actions, fd);
      break;
    default:
      posix_spawn_file_actions_addclosefrom_np(&objects.actions, fd + 3);
  }
}

void choose_random_attributes(Dice& dice, Objects& objects) {
  const int flags[] = {POSIX_SPAWN_RESETIDS,   POSIX_SPAWN_SETPGROUP,     POSIX_SPAWN_SETSIGDEF,
                       POSIX_SPAWN_SETSIGMASK, POSIX_SPAWN_SETSCHEDPARAM, POSIX_SPAWN_SETSCHEDULER,
                       POSIX_SPAWN_USEVFORK,   POSIX_SPAWN_SETSID};
  int chosen = 0;
  for (const int flag : flags) chosen |= dice.below(4) == 0 ? flag : 0;
  objects.flags(chosen);
  const sigset_t some = signals({1 + dice.below(31), 1 + dice.below(31), SIGRTMIN + dice.below(9)});
  posix_spawnattr_setsigmask(&objects.attributes, &some);
  const sigset_t others = signals({1 + dice.below(31), SIGUSR2});
  posix_spawnattr_setsigdefault(&objects.attributes, &others);
  sched_param priority{};
  priority.sched_priority = dice.below(20) == 0 ? 1 : 0;
  posix_spawnattr_setschedparam(&objects.attributes, &priority);
}

TEST(PosixSpawnByBoth, HasTheSameEffect) {
  const TempDirectory directory;
  std::filesystem::create_directory(directory / "inner");
  os::write_file(directory / "inner/file", "");
  ::signal(SIGUSR2, SIG_IGN);
  // Half of the numbers that actions name are open: files and directories, some close-on-exec.
  std::vector<Fd> open;
  for (const int flags : {O_RDONLY, O_RDONLY | O_CLOEXEC}) {
    for (const std::string& path : {std::string("/dev/full"), directory.path()}) {
      for (int i = 0; i < 2; ++i) open.emplace_back(::open(path.c_str(), flags));
    }
  }
  int started = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Dice dice(seed);
    Objects objects;
    const int actions = dice.below(7);
    for (int i = 0; i < actions; ++i) add_random_action(dice, directory.path(), objects);
    if (dice.below(2) == 0) choose_random_attributes(dice, objects);
    const Observed expected = observe(kLibc, objects, directory / "report");
    const Observed seen = observe(kOurs, objects, directory / "report");
    EXPECT_EQ(seen.error, expected.error) << "seed " << seed;
    EXPECT_EQ(seen.state, expected.state) << "seed " << seed;
    started += expected.error == 0;
  }
  EXPECT_GT(started, 100);
  EXPECT_LT(started, 290);
  EXPECT_TRUE(os::is_childless());
  ::signal(SIGUSR2, SIG_DFL);
}

}  // namespace
}  // namespace prewarm::cold
