// SPDX-License-Identifier: MIT
//
// The parked life of a program: prepare, say what was found, then make clones as they are wanted,
// or wait to be released itself. Restrictions: see agent.h.
#include <dirent.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "launch/wire.h"
#include "os/futex.h"
#include "os/scheduling.h"
#include "park/agent.h"

namespace prewarm::agent {
namespace {

constexpr std::uint64_t kAllSignals = ~std::uint64_t{0};

void set_state(std::atomic<std::uint32_t>& word, SlotState s) {
  word.store(static_cast<std::uint32_t>(s), std::memory_order_release);
  os::futex_wake_all(word);
}

// False: something else is open, that is, a constructor opened it, and it would be missing after a
// release. Numbers are given from the lowest on (constructors can't choose: agent_calls.cc), so a
// stray descriptor is among those looked at.
bool own_descriptors_only() {
  pollfd fds[kControlFd + 1];
  for (int i = 0; i < kControlFd; ++i) fds[i] = {i, 0, 0};
  fds[kControlFd] = {kControlFd + 1, 0, 0};
  constexpr timespec kAtOnce{};
  // What isn't open is reported as such (POLLNVAL).
  return os::raw_syscall(SYS_ppoll, os::arg(fds), kControlFd + 1, os::arg(&kAtOnce), 0) ==
         kControlFd + 1;
}

// The same for a program that could choose numbers. Looks at all of them.
bool control_socket_only() {
  const long directory = os::raw_syscall(SYS_openat, AT_FDCWD, os::arg("/proc/self/fd"),
                                         O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  bool only = true;
  alignas(dirent) char buffer[2048];
  long n;
  while ((n = os::raw_syscall(SYS_getdents64, directory, os::arg(buffer), sizeof buffer)) > 0) {
    for (long at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const dirent*>(buffer + at);
      at += entry->d_reclen;
      if (entry->d_name[0] == '.') continue;
      long fd = 0;
      for (const char* d = entry->d_name; *d != '\0'; ++d) fd = fd * 10 + (*d - '0');
      only = only && (fd == kControlFd || fd == directory);
    }
  }
  os::raw_syscall(SYS_close, directory);
  return only && n == 0;
}

// The kernel lets a process with one thread, and only such, ask for a thread group of its own,
// which it has: nothing changes (unshare(2)).
bool has_one_thread() { return os::raw_syscall(SYS_unshare, CLONE_THREAD) == 0; }

// The fields that PR_SET_MM_MAP wants back unchanged; the kernel gives them in /proc/self/stat
// only.
bool read_mm_fields() {
  unsigned size = 0;
  if (os::raw_syscall(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP_SIZE, os::arg(&size), 0, 0) != 0) {
    return false;  // a kernel without CONFIG_CHECKPOINT_RESTORE
  }
  char text[1024];
  const long n = read_file("/proc/self/stat", text, sizeof text - 1);
  if (n <= 0) return false;
  text[n] = '\0';
  const char* at = text + n;
  while (at > text && *at != ')') --at;
  constexpr unsigned kWanted[] = {26, 27, 28, 45, 46, 47};
  unsigned next = 0;
  for (unsigned field = 2; *at != '\0' && next < 6; ++at) {
    if (*at != ' ') continue;
    if (++field != kWanted[next]) continue;
    std::uint64_t value = 0;
    for (const char* d = at + 1; *d >= '0' && *d <= '9'; ++d) {
      value = value * 10 + static_cast<std::uint64_t>(*d - '0');
    }
    state.mm_fields[next++] = value;
  }
  return next == 6 && state.mm_fields[0] != 0;
}

// What a clone has to set right by itself because libc's fork was not called.
bool learn_thread_state() {
  int* tid = nullptr;
  if (os::raw_syscall(SYS_prctl, PR_GET_TID_ADDRESS, os::arg(&tid)) != 0 || tid == nullptr) {
    return false;
  }
  if (*tid != os::raw_syscall(SYS_gettid)) return false;
  state.tid_address = tid;
  return os::raw_syscall(SYS_get_robust_list, 0, os::arg(&state.robust_head),
                         os::arg(&state.robust_size)) == 0;
}

#if defined(__x86_64__)
// Where a ready point lies deep in a program its frames will return, and look at the canary that
// they have found. Each has a copy between here and the start of the stack. That another word
// there has the same 56 random bits is as good as impossible.
void renew_canaries(std::uint64_t old, std::uint64_t fresh) {
  auto* at = static_cast<std::uint64_t*>(__builtin_frame_address(0));
  for (; at < state.auxv; ++at) {
    if (*at == old) *at = fresh;
  }
}
#endif

void renew_randomness() {
  struct {
    std::uint64_t canary;
    char seed[16];
  } fresh;
  if (os::raw_syscall(SYS_getrandom, os::arg(&fresh), sizeof fresh, 0) != sizeof fresh) return;
#if defined(__x86_64__)
  // The stack protector's canary (a word of the thread control block; its lowest byte stays zero
  // to stop strings). Before main no frame that is still to return checks the old value: the agent
  // is built without protector, and libc's start code never returns.
  const std::uint64_t canary = fresh.canary & ~std::uint64_t{0xff};
  std::uint64_t old;
  asm volatile("movq %%fs:0x28, %0" : "=r"(old));
  if (state.ready != nullptr) renew_canaries(old, canary);
  asm volatile("movq %0, %%fs:0x28" : : "r"(canary));
#endif
  // AT_RANDOM: programs take seeds from it.
  for (auto* aux = state.auxv; aux[0] != 0; aux += 2) {
    if (aux[0] == 25 /* AT_RANDOM */) {
      copy(reinterpret_cast<char*>(aux[1]), fresh.seed, sizeof fresh.seed);
    }
  }
}

os::Scheduling usual;  // what the program is to have

// Ends the work in the background, and notes how that is done. The default slice can be told from
// one that was chosen only by its value.
bool become_usual() {
  if (!state.in_background) return true;
  if (!os::get_scheduling(usual)) return false;
  usual.policy = os::kUsualPolicy;
  usual.runtime = 0;
  os::Scheduling now;
  if (!os::set_scheduling(usual) || !os::get_scheduling(now)) return false;
  if (now.runtime == state.slice) return true;
  usual.runtime = state.slice;
  return os::set_scheduling(usual);
}

// In the new clone. Returns what main returned.
int live_as_clone(unsigned k, std::uint32_t generation) {
  Slot& slot = state.program->slots[k];
  os::raw_syscall(SYS_close_range, 0, kSlotFds + static_cast<long>(k) - 1, 0);
  os::raw_syscall(SYS_close_range, kSlotFds + static_cast<long>(k) + 1, ~0U, 0);
  // It must not outlive its owner even if a subshell still holds the other end of the socket.
  os::raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
  if (os::raw_syscall(SYS_getppid) != state.program->owner.load()) leave(0);
  os::raw_syscall(SYS_set_robust_list, static_cast<long>(state.robust_head),
                  static_cast<long>(state.robust_size));
  renew_randomness();
  run_child_handlers();
  if (state.ready != nullptr && state.ready->in_clone != nullptr) state.ready->in_clone();
  touch_learned();
  if (state.in_background) os::set_scheduling(usual);
  set_state(slot.state, SlotState::idle);
  return serve(kSlotFds + static_cast<int>(k), slot.state, generation);
}

// True in the clone, once it was released and its main has returned `result`.
bool make_clone(unsigned k, int& result) {
  Slot& slot = state.program->slots[k];
  const std::uint32_t generation = slot.generation.fetch_add(1) + 1;
  slot.pid.store(0);
  // Until it is claimed again nobody's death may count for it.
  slot.claimer.store(0);
  // With CLONE_PARENT the clone is a child of our parent, the owner, who can wait for it. The
  // kernel writes its pid into the table before it runs, so that its end is never a stranger's.
  constexpr long flags =
      CLONE_PARENT | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD;
  run_prepare_handlers();
#if defined(__x86_64__)
  const long pid =
      os::raw_syscall(SYS_clone, flags, 0, os::arg(&slot.pid), os::arg(state.tid_address), 0);
#else
  const long pid =
      os::raw_syscall(SYS_clone, flags, 0, os::arg(&slot.pid), 0, os::arg(state.tid_address));
#endif
  if (pid == 0) {
    result = live_as_clone(k, generation);
    return true;
  }
  run_parent_handlers();
  if (pid < 0) set_state(slot.state, SlotState::empty);
  return false;
}

bool is_gone(std::int32_t pid) { return pid > 0 && os::raw_syscall(SYS_kill, pid, 0) != 0; }

// Makes a slot usable again that somebody's death has left behind.
void recover(Slot& slot) {
  const SlotState s = park::state_of(slot.state);
  // A subshell that ended before its launch did doesn't come for the status any more.
  if (s == SlotState::exited && is_gone(slot.claimer.load())) {
    park::advance(slot.state, SlotState::exited, SlotState::empty);
  }
  // Descriptors that nobody will ever take must not stay open on their way.
  if (s == SlotState::empty && slot.lost.exchange(0) != 0) {
    discard_messages(kSlotFds + static_cast<int>(&slot - state.program->slots));
  }
  // Claimed by somebody who will never send a request. It is a process of our owner's, who sets
  // the slot free when he hears of its end.
  if (park::awaits_request(s) && is_gone(slot.claimer.load())) {
    const std::int32_t pid = slot.pid.load();
    if (pid > 0) os::raw_syscall(SYS_kill, pid, SIGKILL);
  }
}

// True in a clone that has been a program: leave the loop with `result`.
bool fill(int& result) {
  for (Slot& slot : state.program->slots) recover(slot);
  for (unsigned k = 0; k < park::kSlotsPerProgram && park::lacks_clones(*state.program); ++k) {
    Slot& slot = state.program->slots[k];
    if (!park::advance(slot.state, SlotState::empty, SlotState::parking)) continue;
    if (make_clone(k, result)) return true;
  }
  return false;
}

// Makes the slot sockets and sends the owner its ends.
bool send_slot_sockets() {
  int theirs[park::kSlotsPerProgram];
  for (unsigned k = 0; k < park::kSlotsPerProgram; ++k) {
    int pair[2];
    if (os::raw_syscall(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, os::arg(pair)) !=
        0) {
      return false;
    }
    theirs[k] = pair[0];
    const int number = kSlotFds + static_cast<int>(k);
    if (os::raw_syscall(SYS_dup3, pair[1], number, O_CLOEXEC) != number) return false;
    os::raw_syscall(SYS_close, pair[1]);
  }
  char hello = 'h';
  iovec iov{&hello, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof theirs)] = {};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof theirs);
  copy(reinterpret_cast<char*>(CMSG_DATA(c)), reinterpret_cast<const char*>(theirs), sizeof theirs);
  const bool sent = os::raw_syscall(SYS_sendmsg, kControlFd, os::arg(&message), MSG_NOSIGNAL) == 1;
  for (const int fd : theirs) os::raw_syscall(SYS_close, fd);
  return sent;
}

// The loop of a zygote. Returns in a clone that was released, with what its main returned.
int zygote_loop() {
  // The death signal ends us with our owner; this is for a kernel that would forget it.
  constexpr std::int64_t kMinute = 60 * os::kNsPerSecond;
  for (;;) {
    const std::uint32_t seen = state.program->orders.load();
    adopt_learned();
    int result = 0;
    if (fill(result)) return result;
    os::futex_wait_for(state.program->orders, seen, kMinute);
    if (os::raw_syscall(SYS_getppid) != state.program->owner.load()) leave(0);
  }
}

void publish_parked(bool clonable) {
  state.program->clonable.store(clonable ? 1 : 0);
  state.program->self_state.store(
      static_cast<std::uint32_t>(clonable ? SlotState::empty : SlotState::idle));
  state.program->state.store(static_cast<std::uint32_t>(park::ProgramState::parked),
                             std::memory_order_release);
  os::futex_wake_all(state.program->state);
}

// The parked life of what can be cloned. Returns in a clone that was released.
int live_as_zygote() {
  gather_locale_files();
  note_regions();
  if (!send_slot_sockets()) refuse(launch::Reason::system_refused);
  if (!become_usual()) refuse(launch::Reason::system_refused);
  if (state.in_background) os::work_in_background();
  publish_parked(true);
  return zygote_loop();
}

}  // namespace

[[noreturn]] void refuse(launch::Reason reason) {
  if (state.program != nullptr) {
    state.program->reason.store(static_cast<std::uint32_t>(reason));
    state.program->state.store(static_cast<std::uint32_t>(park::ProgramState::refused),
                               std::memory_order_release);
    os::futex_wake_all(state.program->state);
  }
  leave(0);
}

int park(int argc, char** argv, char** envp) {
  stop_watching(argc, argv);
  char** end = envp;
  while (*end != nullptr) ++end;
  state.auxv = reinterpret_cast<std::uint64_t*>(end + 1);
  // As whoever parks us had it before exec; nothing is pending, nothing can end us.
  os::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, os::arg(&kAllSignals), 0, 8);
  os::raw_syscall(SYS_close_range, 0, 2, 0);
  if (!own_descriptors_only()) refuse(launch::Reason::opened_descriptors);
  if (!read_mm_fields()) refuse(launch::Reason::system_refused);
  // What serves once binds what it needs when it needs it.
  if (state.may_clone) bind_lazily_bound();
  const bool initialised = initialise_libraries();
  if (!warm_locale()) refuse(launch::Reason::locale_missing);
  if (!has_one_thread()) refuse(launch::Reason::has_threads);
  if (initialised && !own_descriptors_only()) refuse(launch::Reason::opened_descriptors);
  if (!write_manifest(initialised)) refuse(launch::Reason::manifest_full);
  os::raw_syscall(SYS_munmap, os::arg(state.manifest), park::kManifestBytes);
  const bool clonable = state.may_clone && learn_thread_state() && fork_handlers_are_known();
  if (clonable) return live_as_zygote();
  if (!become_usual()) refuse(launch::Reason::system_refused);
  publish_parked(false);
  return serve(kControlFd, state.program->self_state, 0);
}

void park_at_ready_point() {
  os::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, os::arg(&kAllSignals), 0, 8);
  if (!has_one_thread()) refuse(launch::Reason::has_threads);
  restore_getenv();
  os::raw_syscall(SYS_close_range, 0, 2, 0);
  if (!control_socket_only()) refuse(launch::Reason::opened_descriptors);
  // Nobody's file system is kept busy; each clone goes where its request says.
  os::raw_syscall(SYS_chdir, os::arg("/"));
  if (!read_mm_fields()) refuse(launch::Reason::system_refused);
  state.request_area = map_pages(kRequestAreaBytes);
  if (state.request_area == nullptr) refuse(launch::Reason::system_refused);
  if (!write_manifest(false)) refuse(launch::Reason::manifest_full);
  os::raw_syscall(SYS_munmap, os::arg(state.manifest), park::kManifestBytes);
  // What can't be cloned can't be held here: to start again would be to run it twice.
  if (!learn_thread_state() || !fork_handlers_are_known()) refuse(launch::Reason::system_refused);
  live_as_zygote();
}

}  // namespace prewarm::agent
