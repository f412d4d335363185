// SPDX-License-Identifier: MIT
//
// SpawnRing: starting programs by rows of linked operations.
//
// What a new process is to do before its program runs is data: operations, in order, put into a
// submission queue and handed over together. A row that is linked and begins with `clone` is a
// chain: it is run in a new task, which shares the caller's memory until its exec and needs none of
// the caller's code. The caller goes on at once, and reads completions when it likes.
//
//   auto ring = prewarm::SpawnRing::create();
//   ring->push(op::clone().tag(1).link());
//   ring->push(op::open(1, "/tmp/out", O_WRONLY | O_CREAT, 0644).link());
//   ring->push(op::exec("/bin/ls", argv, environ).tag(2));
//   ring->submit();
//   ring->wait(completions);      // tag 1: pid and pidfd; tag 2: 0, the program is running
//
// Order and links are those of io_uring, as its IORING_OP_CLONE and IORING_OP_EXEC were proposed
// (Josh Triplett, "Spawning processes faster and easier with io_uring", Linux Plumbers 2022):
//
//   * A chain's operations run one after the other. `link` ties an operation to the next; the chain
//     ends with the first one that isn't linked. Chains know nothing of each other and run at the
//     same time.
//   * If an operation fails, the rest of its chain is cancelled (-ECANCELED); after a hard link it
//     goes on all the same.
//   * An exec that succeeds ends the chain; what stands behind it is cancelled. An exec that fails
//     lets the next operation run, unless it is hard-linked: then the rest is cancelled. So a
//     search along PATH is a row of execs.
//   * A task whose chain ends without an exec is killed by SIGKILL.
//   * Each operation has exactly one completion.
//
// Strings, arguments and maps are copied by submit(). Descriptors, working directory and umask are
// the caller's at the moment when the task is made, so they must stay as they are until clone's
// completion is there.
//
// Threads: all functions may be called by any thread at any time. No function runs code of the
// caller in the new process. Descriptors of the ring are close-on-exec. In a child of fork() a ring
// is dead: every function fails with EOWNERDEAD.
#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "prewarm/fd.h"
#include "prewarm/result.h"

struct sock_fprog;  // <linux/filter.h>

namespace [[gnu::visibility("default")]] prewarm {

enum class OperationCode : std::uint8_t {
  clone,
  exec,
  exec_fd,
  // Descriptors
  open,
  dup,
  close,
  close_range,
  keep_only,
  // Where it is
  chdir,
  fchdir,
  chroot,
  umask,
  // Session and terminal
  setsid,
  setpgid,
  take_terminal,
  drop_terminal,
  foreground,
  // Signals
  signal_mask,
  signal_default,
  signal_ignore,
  death_signal,
  // Who it is
  user,
  group,
  groups,
  reset_ids,
  ambient_capability,
  no_new_privileges,
  id_maps,
  // What it may use
  limit,
  nice,
  scheduler,
  affinity,
  oom_score,
  cgroup,
  // What confines it
  unshare,
  seccomp,
  landlock,
  trace_me,
};

// Part of keep_only: the caller's `source` becomes `target`, without close-on-exec.
struct Inherited {
  int source;
  int target;
};

// One operation. Made by the functions in `op`, which say what each is. What it points to is
// copied by submit(), and must stay until then.
struct Operation {
  OperationCode code{};
  bool linked = false;
  bool hard_linked = false;
  std::uint64_t user_data = 0;  // comes back with the completion
  int fd = -1;
  int other = -1;
  std::uint64_t value = 0;
  std::uint64_t more = 0;
  const void* data = nullptr;
  const void* extra = nullptr;
  std::size_t size = 0;

  Operation tag(std::uint64_t data_for_user) const;
  Operation link() const;
  Operation hard_link() const;
};

// What happened to one operation.
struct Completion {
  std::uint64_t user_data = 0;
  // -errno, or what succeeded: of clone the pid, of all others 0. -ECANCELED: it didn't run.
  std::int32_t result = 0;
  OperationCode code{};
  // Of a clone that succeeded: refers to the process for good (pidfd_open(2)). Whoever gets the
  // completion owns it. Not valid where the kernel has no pidfds, or clone was told not to.
  Fd pidfd;
};

struct CloneOptions {
  int namespaces = 0;         // CLONE_NEW*
  int cgroup = -1;            // directory of a cgroup v2: the process begins there
  bool pidfd = true;          // whether the completion brings one
  bool detached = false;      // nobody will wait for it: the ring does
  int exit_signal = SIGCHLD;  // what the parent gets when it ends; 0 none
};

// Whoever waits for a program that is started by these must do so by waitpid or waitid, as for any
// child, but for detached ones.
namespace op {

// Begins a chain: makes the task that runs it. Its completion comes as soon as the task exists;
// those of the chain's other operations when the chain has ended.
Operation clone(const CloneOptions& options = {});

// Ends a chain: execve(2). `argv` and `env` are null-terminated. A path without a slash is not
// searched for.
Operation exec(const char* path, char* const* argv, char* const* env);
// The same of an open file: execveat(2) with AT_EMPTY_PATH. A close-on-exec `fd` can't be a script.
Operation exec_fd(int fd, char* const* argv, char* const* env);

// Descriptor `fd` becomes open(path, flags, mode), whatever it was; without close-on-exec unless
// flags has O_CLOEXEC. A relative path is one of the working directory at that point of the chain.
Operation open(int fd, const char* path, int flags, mode_t mode = 0);
// `to` becomes a copy of `from`, without close-on-exec, also if they are the same.
Operation dup(int from, int to);
Operation close(int fd);                               // closed already is no error
Operation close_range(unsigned first, unsigned last);  // inclusive; none of them is an error
// The process has exactly these descriptors. Sources are the caller's numbers, whatever earlier
// ones in the row are put where; no target twice (-EINVAL).
Operation keep_only(std::span<const Inherited> map);

Operation chdir(const char* path);
Operation fchdir(int fd);
Operation chroot(const char* path);  // and chdir to it
Operation umask(mode_t mask);

Operation setsid();
Operation setpgid(pid_t group);   // 0: a group of its own
Operation take_terminal(int fd);  // controlling terminal of this (new) session
Operation drop_terminal();        // no error if there is none
Operation foreground(int fd);     // its process group, of the terminal fd; ignoring SIGTTOU

// Every chain begins with all signals blocked and all handlers reset; at exec it has the mask that
// the submitting thread had, unless this says something else.
Operation signal_mask(const sigset_t& mask);
Operation signal_default(const sigset_t& signals);  // even if the caller ignores them
Operation signal_ignore(const sigset_t& signals);
// Sent when the parent ends. Fails with ESRCH if it has ended already. With a ring that has a task
// of its own the parent is the process; else the thread that submits (prctl(2)). Changes of user or
// group undo it, so it goes behind them.
Operation death_signal(int signal);

Operation user(uid_t real, uid_t effective, uid_t saved);  // -1: as it is
Operation group(gid_t real, gid_t effective, gid_t saved);
Operation groups(std::span<const gid_t> supplementary);
Operation reset_ids();  // effective := real, group first
// Raised, and made inheritable. Root that becomes another user loses all of them (capabilities(7)),
// so it goes behind changes of user.
Operation ambient_capability(int capability);
Operation no_new_privileges();
// For a new user namespace: lines of uid_map and gid_map (user_namespaces(7)); setgroups is denied
// first. Either may be null.
Operation id_maps(const char* uid_map, const char* gid_map);

Operation limit(int resource, const rlimit& limit);
Operation nice(int value);  // absolute
Operation scheduler(int policy, int priority);
Operation affinity(const cpu_set_t& processors);
Operation oom_score(int adjustment);  // -1000 to 1000
Operation cgroup(int directory);      // of cgroup v2, for kernels whose clone can't

Operation unshare(int namespaces);
Operation seccomp(const sock_fprog& filter, unsigned flags = 0);  // wants no_new_privileges or root
Operation landlock(int ruleset);                                  // the same
// For a ring without a task of its own: the thread that submits is the tracer (ptrace(2)).
Operation trace_me();

}  // namespace op

// How a chain's task is made.
enum class Backend : std::uint8_t {
  automatic,      // shared_memory, or the next that works here
  shared_memory,  // CLONE_VM: copies nothing, and nobody waits for it
  vfork,          // the same, but the submitter waits for the exec: nothing is under way afterwards
  fork,           // a copy of the caller; for comparison, and where memory can't be shared
  posix_spawn,    // the C library's; refuses chains that it can't express (-EOPNOTSUPP)
  io_uring,       // the kernel's own IORING_OP_CLONE and IORING_OP_EXEC, where it has them
};
const char* backend_name(Backend backend);

// Whether this kernel lets us use a backend; if not, why, in one sentence.
Result<void> probe(Backend backend);

struct RingOptions {
  unsigned entries = 256;    // operations in the submission queue, rounded up to a power of two
  unsigned completions = 0;  // that may be outstanding; 0: four times entries. At most 65536
  Backend backend = Backend::automatic;
  // A task of the ring's own (a thread with all signals blocked) makes the tasks and collects
  // completions. Submitting is then a message to it, and there is a descriptor to poll. Children
  // inherit what that thread inherited when the ring was made: affinity, nice value, scheduling.
  // Without it submit() makes the tasks itself, and completions are found by whoever reaps.
  bool own_task = true;
  // How long that task looks for more work before it sleeps, in µs; what is submitted meanwhile
  // costs the caller no system call, but a processor is busy for so long (like io_uring's
  // sq_thread_idle). At most a second.
  unsigned awake_us = 0;
  // io_uring's opcodes aren't in any released kernel; where a kernel has them, these are theirs.
  int opcode_clone = -1;
  int opcode_exec = -1;
};

class SpawnRing {
 public:
  // EINVAL: bad options; ENOTSUP: the backend can't be used here (see probe); or what failed.
  static Result<SpawnRing> create(const RingOptions& options = {});

  SpawnRing(SpawnRing&&) noexcept;
  SpawnRing& operator=(SpawnRing&&) noexcept;
  // Chains that have not been started are dropped; those that are under way are waited for until
  // their exec.
  ~SpawnRing();

  // Puts an operation into the submission queue. False: there is no room, submit first.
  bool push(const Operation& operation);
  // Both or none of them; a convenience for a whole chain, whose links it sets.
  bool push_chain(std::span<const Operation> operations);

  // Hands over what is in the queue; how many operations that were. A chain that can't be taken
  // isn't an error here but a completion of each of its operations: -EINVAL for what isn't a
  // chain (doesn't begin with clone, holds a second one, the like) and bad arguments, -E2BIG,
  // -EFAULT for null pointers. EBUSY: completions that nobody has reaped leave no room; the queue
  // stays as it is. With a task of the ring's own it never blocks. Without one it makes the tasks:
  // vfork, posix_spawn and io_uring wait for the execs, fork for the copies.
  Result<unsigned> submit();

  // Takes completions that are there; how many. Never blocks.
  unsigned reap(std::span<Completion> completions);
  // Waits until there is at least one, or nothing is under way (0), or the time is over (0).
  // timeout_ms < 0: for ever. EINTR: a signal handler ran.
  Result<unsigned> wait(std::span<Completion> completions, int timeout_ms = -1);
  // Operations that have been submitted and whose completions have not been taken.
  unsigned outstanding() const;
  // Readable whenever there may be something to reap; level-triggered; only for poll and the like.
  // Belongs to the ring. -1 if it has no task of its own.
  int pollable() const;

  // Ends the chain whose clone has this user data, if its program isn't running yet: a chain that
  // hasn't begun is dropped, one that is under way killed. ENOENT: there is none; EALREADY: too
  // late, or in the middle of an exec: if that fails, the chain ends there.
  Result<void> cancel(std::uint64_t user_data);

  Backend backend() const;

 private:
  struct State;
  explicit SpawnRing(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace prewarm
