// SPDX-License-Identifier: MIT
//
// The owner's side of the parked rung: which programs are parked, claiming, releasing, refilling.
//
// A Pool belongs to the process that made it: parked processes and direct clones are its children,
// and it (or whoever calls waitpid for it) must tell the pool about those that ended, by
// `note_ended`. A forked copy of the owner may go on using the pool, for brokered launches only.
// Not thread-safe; `note_ended` may be called from a signal handler (it allocates nothing).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cold/host_task.h"
#include "launch/reason.h"
#include "launch/request.h"
#include "os/fd.h"
#include "os/result.h"
#include "park/eligibility.h"
#include "park/table.h"

namespace prewarm::park {

struct PoolOptions {
  std::string agent_path;        // of libprewarm-agent.so
  std::string restorer_path;     // of libprewarm-restore.so; empty: nothing is started from images
  std::string more_directories;  // see check_program
  unsigned max_warm = 64;        // parked processes at any time, zygotes and clones together
  int descriptor_floor = 0;      // keep own descriptors at or above this number
};

// A claimed slot: whoever holds one must release it (`Pool::release`) or give it back.
struct Claim {
  unsigned program = 0;
  int slot = -1;  // -1: the parked process itself
  pid_t pid = 0;
  std::uint32_t generation = 0;
};

// What became of a child of the owner that has ended.
enum class Ended {
  not_ours,  // no process of this pool
  parked,    // it was parked, or claimed but had not taken its request: nothing has run
  launched,  // it had been released: its wait status is the launch's
  brokered,  // the same, for a forked subshell, which has been told: not for the owner's eyes
};

// What has become of a brokered launch.
enum class Brokered {
  under_way,
  ended,
  never_ran,  // its process died before taking the request
};

class Pool {
 public:
  // An error without a code means that the agent is not there, whole and of this version.
  static os::Result<std::unique_ptr<Pool>> create(PoolOptions options);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Starts parking the program at `path` in the background, with `env` as the environment that its
  // constructors see. `want` idle clones are kept for it (0: it is released itself, once). Returns
  // the program's number, or why it is not parked. Doesn't wait.
  std::expected<unsigned, launch::Reason> park(const char* path, char* const* env, unsigned want,
                                               Isolation isolation);

  // The same, but it is run with `argv` until it says that it is ready (prewarm/ready.h), in the
  // caller's directory, with all signals blocked and /dev/null as input and output. Only for
  // programs that are known to do so: another runs to its end. `start` is what is executed: null
  // for `path`, or else a script that the kernel hands to it. The program
  // may lie in any directory.
  std::expected<unsigned, launch::Reason> park_ready(const char* path, const char* start,
                                                     char* const* argv, char* const* env,
                                                     unsigned want);
  int find_ready(const char* path, char* const* argv) const;

  // The number of the live parked program for `path`, or -1. One that was parked for one launch
  // and is claimed for it is none any more.
  int find(const char* path) const;

  // Waits until `program` is parked or refused. False: it is neither after `wait_ms`.
  bool wait_parked(unsigned program, int wait_ms);

  // Claims a parked process of `program`. If a clone is just being made, waits for it, at most
  // `wait_ms`. The reason is not_parked_yet, pool_busy, died, or why the agent refused.
  std::expected<Claim, launch::Reason> claim(unsigned program, SlotKind kind, int wait_ms);

  // Takes over what has finished parking meanwhile. Only the owner can; a forked copy can claim
  // only what was taken over before the fork.
  void take_over_parked();

  // Whether what was parked is still what `path` names and would start the same in `env`. A file
  // that several programs need is looked at once until look_anew is called.
  launch::Reason check_fresh(unsigned program, char* const* env);
  // Its two halves: the second makes no system call.
  launch::Reason check_files(unsigned program);
  launch::Reason check_environment(unsigned program, char* const* env);
  void look_anew() { seen_files_.clear(); }

  // A direct launch that runs is the caller's child and from now on not the pool's: its slot is
  // free for another clone, and note_ended will not know it. False: it doesn't run (yet).
  bool detach(const Claim& claim);

  // Sends `request` to the claimed process. False: it can't be sent; the claim is given up.
  bool release(const Claim& claim, const launch::LaunchRequest& request);
  // The same with a wire form made before (write_request) and descriptors in its order, cwd last.
  bool release_bytes(const Claim& claim, std::span<char> bytes, std::span<const int> descriptors);

  // The same in two steps: the process makes itself ready while the caller still looks whether the
  // launch would be exact, and goes on, or never does. False from `grant`: it has died meanwhile.
  bool send_ahead(const Claim& claim, std::span<char> bytes, std::span<const int> descriptors);
  bool grant(const Claim& claim);
  // The request never comes, or never will be granted: its process is of no use any more, and ends.
  void revoke(const Claim& claim);

  // Undoes a claim for which nothing was sent.
  void give_back(const Claim& claim);

  // Tells the zygote to make up for claims, if it should.
  void refill(unsigned program);

  // A child of the owner has ended with wait status `status`. Allocates nothing.
  Ended note_ended(pid_t pid, int status);
  // State of a claim.
  SlotState state(const Claim& claim) const;
  // What has become of a brokered launch, and its wait status if it has ended. If the owner has,
  // too, the status is known if the launch's process was being watched, and the kernel tells it;
  // else SIGKILL stands for it. `watch`, not valid at first, belongs to the launch.
  Brokered look(const Claim& claim, os::Fd& watch, int& status);
  // Waits until the state of a claimed or running slot changes, or at most `wait_ms`; a launch that
  // takes long is watched from then on. False: a signal handler ran meanwhile.
  bool wait_change(const Claim& claim, os::Fd& watch, int wait_ms);
  // Waits for the end of a brokered launch: true and its wait status, or false if its process died
  // before taking the request.
  bool wait_brokered(const Claim& claim, int& status);
  // Waits until the request was taken. False: its process died before that.
  bool wait_taken(const Claim& claim);

  // Ends all parked processes and waits until they are gone; running launches aren't touched, and
  // note_ended goes on to serve them. Only in the owner.
  void shut_down();
  bool has_running() const;
  // In a forked child that won't use the pool: drop it without touching anything.
  void abandon();

  bool is_owner() const;
  pid_t owner() const { return table_->owner.load(); }
  // Whether it was ever parked and taken over.
  bool was_opened(unsigned program) const { return entries_[program].opened; }
  // Signals that were pending when a process of the program was to take a request. They may have
  // come before the launch or after it, which only the launcher can tell: so that process ended
  // without having taken it. Signals of former launches stay in there.
  std::uint64_t interrupted(unsigned program) const {
    return table_->programs[program].interrupted.load();
  }
  // Whether `program` may ask who its parent is (see Eligibility::asks_parent).
  bool asks_parent(unsigned program) const { return entries_[program].asks_parent; }
  bool owns_descriptor(int fd) const;
  unsigned program_count() const { return program_count_; }
  const Table& table() const { return *table_; }
  const char* program_path(unsigned program) const { return entries_[program].path.c_str(); }
  // Numbers of parked processes alive now, zygotes and idle clones.
  unsigned warm_count() const;
  // The same if every zygote had as many idle clones as it is to keep.
  unsigned reserved_count() const;
  unsigned starting_count() const;  // programs on their way to being parked
  unsigned unused_count() const;    // parked for one launch and not yet claimed

 private:
  struct Entry;
  struct WatchedFile {
    std::string path;
    os::FileIdentity identity{};  // none if it doesn't exist
    bool exists = true;
  };
  struct WatchedVariable {
    std::string name;
    std::string value;
    bool set;
  };
  // How it is started.
  struct Start {
    const char* path;  // what is executed
    char* const* argv;
    char* const* env;
    bool may_clone;
    bool to_ready_point;
  };
  struct Entry {
    std::string path;
    std::vector<std::string> ready_argv;  // of one that is held at its ready point
    os::FileIdentity identity;
    std::int64_t parked_at_ns = 0;
    os::Fd control;
    std::vector<os::Fd> slot_sockets;
    std::vector<WatchedFile> files;
    std::vector<WatchedVariable> variables;
    std::unique_ptr<cold::HostTask> task;  // until the program is known to be parked
    bool asks_parent = false;
    bool opened = false;
    bool stale = false;
  };

  explicit Pool(PoolOptions options) : options_(std::move(options)) {}
  os::Result<void> map_table();
  std::expected<unsigned, launch::Reason> park_eligible(const char* path, const Start& start,
                                                        unsigned want, const Eligibility& eligible);
  bool agent_is_whole();
  bool mounts_have_changed();
  bool may_be_unmounted(const char* path);
  launch::Reason open_program(unsigned program);
  void retire(unsigned program);
  bool receive_sockets(Entry& entry);
  bool read_manifest(unsigned program);
  std::expected<Claim, launch::Reason> claim_self(unsigned program);
  std::expected<Claim, launch::Reason> claim_slot(unsigned program, SlotKind kind, int wait_ms);
  void order_refill(unsigned index);
  bool is_unchanged(const WatchedFile& file);
  static bool is_as_it_was(const WatchedFile& file);
  void begin_watch(const Claim& claim, os::Fd& watch) const;
  bool owner_is_alive() const;
  std::atomic<std::uint32_t>& word_of(const Claim& claim) const;
  static void end_unreleased(Slot& slot);
  static Ended end_slot(Slot& slot, SlotState was, int status);

  PoolOptions options_;
  os::FileIdentity agent_;  // of the file that was found to be the agent
  Table* table_ = nullptr;
  os::Fd table_fd_;
  os::Fd null_fd_;
  os::Fd mounts_;  // polled: whether mounts have changed since it was opened
  bool mounts_changed_ = false;
  bool asks_for_images_ = false;
  unsigned program_count_ = 0;
  Entry entries_[kMaxPrograms];
  std::vector<char> wire_;
  std::vector<WatchedFile> seen_files_;  // since look_anew
  std::vector<int> wire_fds_;
};

}  // namespace prewarm::park
