// SPDX-License-Identifier: GPL-3.0-or-later
//
// Parking ahead: what the last run launched, or else what the script's text names, is parked in
// order of first use while the shell starts and works; and at the end what was launched is
// remembered.
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "bash/front.h"
#include "bash/originals.h"

namespace prewarm::bash {

namespace {

// Parked for one launch each and not used yet, at most: a script that takes another way than
// expected has cost no more than that.
constexpr unsigned kMostUnused = 8;

unsigned processors() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(CPU_COUNT(&set));
}

const char* environment_value(const char* name) {
  const std::size_t n = std::strlen(name);
  for (char** e = environ; *e != nullptr; ++e) {
    if (std::strncmp(*e, name, n) == 0 && (*e)[n] == '=') return *e + n + 1;
  }
  return nullptr;
}

}  // namespace

void Front::begin_ahead(const std::string& loadable) {
  if (settings_.script.empty() || !prepare_pool()) return;
  processors_ = processors();
  if (settings_.learn) {
    profile_directory_ =
        launch::profile_directory(environment_value("XDG_CACHE_HOME"), environment_value("HOME"));
    if (!profile_directory_.empty()) {
      profile_file_ = launch::profile_file(profile_directory_, settings_.script);
      profile_ = launch::load_profile(profile_file_);
    }
  }
  if (profile_) {
    for (const auto& e : profile_->entries) planned_.push_back({e.path, e.launches > 1});
  } else if (processors_ > 1) {
    looking_ = look_.start(settings_.script, loadable, floor_);
  }
  ahead_ = looking_ || !planned_.empty();
  advance_ahead();
}

// What the look has found since the last time.
void Front::collect_look() {
  const launch::ScanTable& table = *look_.table();
  const bool done = table.done.load(std::memory_order_acquire) != 0;
  const unsigned count = table.count.load(std::memory_order_acquire);
  constexpr std::uint32_t kOften = launch::kScanLoop | launch::kScanFunction;
  for (; collected_ < count && collected_ < launch::ScanTable::kMaxEntries; ++collected_) {
    const launch::ScanEntry& e = table.entries[collected_];
    if (e.path[0] != '/' || (e.flags & launch::kScanBackground) != 0) continue;
    planned_.push_back({e.path, e.count > 1 || (e.flags & kOften) != 0});
  }
  if (done) looking_ = false;
}

// Parks the next of the planned programs, as many at a time as there are processors to spare.
void Front::advance_ahead() {
  replace_spent();
  if (!ahead_ || subshell_) return;
  if (looking_) collect_look();
  const unsigned at_once = processors_;
  while (next_planned_ < planned_.size() && pool_ != nullptr && pool_->starting_count() < at_once &&
         pool_->unused_count() < kMostUnused) {
    const Planned& p = planned_[next_planned_++];
    // With one processor parking for a single launch only moves work about; and the look may come
    // too late.
    if (!p.often && (processors_ == 1 || was_launched(p.path))) continue;
    if (pool_->find(p.path.c_str()) < 0 && refusal(p.path.c_str()) == Reason::none) {
      park(p.path.c_str(), environ, p.often ? 1 : 0);
      // As if it had been called that often before.
      if (p.often) local_calls_.emplace_back(p.path, kCallsToPark - 1);
    }
  }
  if (!looking_ && next_planned_ == planned_.size()) ahead_ = false;
}

bool Front::was_launched(const std::string& path) const {
  const auto is_it = [&path](const auto& call) { return call.first == path; };
  return std::any_of(local_calls_.begin(), local_calls_.end(), is_it);
}

void Front::park(const char* path, char* const* env, unsigned want) {
  if (is_coprocess(path, path)) return;
  const auto parked = pool_->park(path, env, want,
                                  settings_.clone ? park::Isolation::clone : park::Isolation::exec);
  if (!parked && parked.error() != Reason::limit_reached) {
    refusals_.emplace_back(path, parked.error());
  }
}

void Front::end_look() {
  const pid_t pid = look_.pid();
  if (pid <= 0 || look_ended_) return;
  ::kill(pid, SIGKILL);
  while (originals().waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  look_ended_ = true;
}

// Only written when it would make a difference: other programs, another order, or a program that is
// now called often, or no longer.
void Front::remember() {
  if (profile_file_.empty()) return;
  launch::Profile now;
  for (unsigned i = 0; i < tally_.size(); ++i) {
    const CommandTally& c = tally_.at(i);
    if (c.state.load() != 2 || c.path[0] != '/' ||
        now.entries.size() == launch::Profile::kMaxEntries) {
      continue;
    }
    launch::ProfileEntry e;
    e.path = c.path;
    for (const auto& n : c.launches) e.launches += n.load();
    e.from_subshell = e.launches - std::min(e.launches, c.main_launches.load());
    now.entries.push_back(std::move(e));
  }
  const auto same = [](const launch::ProfileEntry& a, const launch::ProfileEntry& b) {
    return a.path == b.path && (a.launches > 1) == (b.launches > 1);
  };
  if (profile_ && std::equal(now.entries.begin(), now.entries.end(), profile_->entries.begin(),
                             profile_->entries.end(), same)) {
    return;
  }
  if (!profile_ && now.entries.empty()) return;
  launch::save_profile(profile_directory_, profile_file_, now);
}

}  // namespace prewarm::bash
