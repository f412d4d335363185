// SPDX-License-Identifier: MIT
//
// Release: a parked process takes a request and becomes what a plain exec would have made.
// Restrictions: see agent.h.
#include <fcntl.h>
#include <linux/prctl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "launch/wire.h"
#include "os/futex.h"
#include "os/scheduling.h"
#include "park/agent.h"

extern "C" {
extern char** environ;
extern char* program_invocation_name;
extern char* program_invocation_short_name;
int* __errno_location();
}

namespace prewarm::agent {
namespace {

using launch::Operation;
using launch::OperationKind;
using launch::RequestHeader;
using launch::RequestView;

// Room for the targets, the working directory and a memfd.
constexpr unsigned kMaxReceived = launch::kMaxDescriptors + 2;

struct Received {
  int fds[kMaxReceived];
  unsigned count;
};

[[noreturn]] void give_up() { leave(127); }

constexpr std::uint64_t bit(int sig) { return std::uint64_t{1} << (sig - 1); }

void set_disposition(int sig, void (*handler)(int)) {
  const struct {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)();
    std::uint64_t mask;
  } action = {handler, 0, nullptr, 0};
  os::raw_syscall(SYS_rt_sigaction, sig, os::arg(&action), 0, 8);
}

// One message into `buffer`. Returns its size, 0 at end of file, negative when it can't be used.
long receive(int socket, char* buffer, std::size_t size, Received& received) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof received.fds)];
  iovec iov{buffer, size};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  received.count = 0;
  const long n = os::raw_syscall(SYS_recvmsg, socket, os::arg(&message), 0);
  if (n <= 0) return n;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    copy(reinterpret_cast<char*>(received.fds), reinterpret_cast<const char*>(CMSG_DATA(c)),
         count * sizeof(int));
    received.count = static_cast<unsigned>(count);
  }
  if ((message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0) return -1;
  return n;
}

void close_all(const Received& received) {
  for (unsigned i = 0; i < received.count; ++i) os::raw_syscall(SYS_close, received.fds[i]);
}

// Puts the received descriptors at their numbers. Nothing else is open by now.
void place_descriptors(const RequestView& request, Received& received) {
  const unsigned n = request.header->fd_count;
  bool placed = true;
  for (unsigned i = 0; i < n; ++i) placed = placed && received.fds[i] == request.targets[i];
  if (placed || n == 0) return;
  // Both rows ascend, so those that go up, from the highest on, and then those that go down, from
  // the lowest on, never meet one that has yet to move.
  const auto move = [&](unsigned i) {
    if (os::raw_syscall(SYS_dup3, received.fds[i], request.targets[i], 0) < 0) give_up();
    os::raw_syscall(SYS_close, received.fds[i]);
  };
  for (unsigned i = n; i-- > 0;) {
    if (received.fds[i] < request.targets[i]) move(i);
  }
  for (unsigned i = 0; i < n; ++i) {
    if (received.fds[i] > request.targets[i]) move(i);
  }
}

// A failed redirection ends the launch as it ends bash's child: message on what is now standard
// error, status 1.
[[noreturn]] void fail_operation(const RequestView& request, const Operation& op, long error) {
  const char* prefix = request.text + op.error_prefix;
  const char* path = request.text + op.text;
  const char* text = strerror_l(static_cast<int>(-error), static_cast<locale_t>(state.locale));
  const char* const parts[] = {prefix, path, ": ", text, "\n"};
  iovec line[5];
  for (unsigned i = 0; i < 5; ++i) line[i] = {const_cast<char*>(parts[i]), length(parts[i])};
  os::raw_syscall(SYS_writev, 2, os::arg(line), 5);
  leave(1);
}

void run_operations(const RequestView& request) {
  for (std::uint32_t i = 0; i < request.header->op_count; ++i) {
    const Operation& op = request.operations[i];
    if (op.kind == OperationKind::close) {
      os::raw_syscall(SYS_close, op.fd);
    } else if (op.kind == OperationKind::dup) {
      if (op.fd != op.other && os::raw_syscall(SYS_dup3, op.other, op.fd, 0) < 0) give_up();
    } else {
      const long fd =
          os::raw_syscall(SYS_openat, AT_FDCWD, os::arg(request.text + op.text), op.flags, op.mode);
      if (fd < 0) fail_operation(request, op, fd);
      if (fd == op.fd) continue;
      if (os::raw_syscall(SYS_dup3, fd, op.fd, 0) < 0) give_up();
      os::raw_syscall(SYS_close, fd);
    }
  }
}

// What a program has set before its ready point it has set whatever it had inherited.
bool has_own_disposition(int sig) {
  if (state.ready == nullptr) return false;
  struct {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)();
    std::uint64_t mask;
  } action = {};
  os::raw_syscall(SYS_rt_sigaction, sig, 0, os::arg(&action), 8);
  return action.handler != SIG_DFL;
}

void set_signals(const RequestHeader& h) {
  if (state.ready != nullptr && (state.ready->flags & PREWARM_READY_OWN_SIGNALS) != 0) return;
  for (int sig = 1; h.signal_ignored != 0 && sig <= 64; ++sig) {
    if ((h.signal_ignored & bit(sig)) == 0 || has_own_disposition(sig)) continue;
    set_disposition(sig, SIG_IGN);
  }
  os::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, os::arg(&h.signal_mask), 0, 8);
}

// What ps, /proc/self/cmdline and /proc/self/environ show.
void set_visible_arguments(const RequestView& request, const std::uint64_t* stack) {
  const RequestHeader& h = *request.header;
  prctl_mm_map map{};
  map.start_code = state.mm_fields[0];
  map.end_code = state.mm_fields[1];
  map.start_stack = reinterpret_cast<std::uint64_t>(stack);
  map.start_data = state.mm_fields[3];
  map.end_data = state.mm_fields[4];
  map.start_brk = state.mm_fields[5];
  map.brk = static_cast<std::uint64_t>(os::raw_syscall(SYS_brk, 0));
  map.arg_start = reinterpret_cast<std::uint64_t>(request.argv);
  map.arg_end = map.arg_start + h.argv_size;
  map.env_start = map.arg_end;
  map.env_end = map.env_start + h.env_size;
  map.exe_fd = static_cast<std::uint32_t>(-1);
  os::raw_syscall(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, os::arg(&map), sizeof map, 0);
}

const std::uint64_t* start_of_stack() {
  return reinterpret_cast<const std::uint64_t*>(state.mm_fields[2]);
}

const char* base_name(const char* path) {
  const char* base = path;
  for (const char* at = path; *at != '\0'; ++at) {
    if (*at == '/') base = at + 1;
  }
  return base;
}

// The strings of an area, as a null-terminated row of pointers.
char** point_to_strings(char** out, char* strings, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    *out++ = strings;
    strings += length(strings) + 1;
  }
  *out++ = nullptr;
  return out;
}

// AT_EXECFN is the path that was exec'd: the kernel names the process after it.
const char* exec_path() {
  for (auto* aux = state.auxv; aux[0] != 0; aux += 2) {
    if (aux[0] == 31 /* AT_EXECFN */) return reinterpret_cast<const char*>(aux[1]);
  }
  return "";
}

// The auxiliary vector that the kernel made, with its end mark, in words.
std::size_t auxv_words() {
  const std::uint64_t* aux = state.auxv;
  while (aux[0] != 0) aux += 2;
  return static_cast<std::size_t>(aux + 2 - state.auxv);
}

// Lays out what an exec would have left at the top of the stack: argc, argv, environ, auxiliary
// vector, one behind the other. Some runtimes walk it.
int call_main(const RequestView& request, std::uint64_t* words, bool at_ready_point) {
  const RequestHeader& h = *request.header;
  words[0] = h.argc;
  char** argv = reinterpret_cast<char**>(words + 1);
  char** env = point_to_strings(argv, request.argv, h.argc);
  char** end = point_to_strings(env, request.env, h.envc);
  copy(reinterpret_cast<char*>(end), reinterpret_cast<const char*>(state.auxv),
       auxv_words() * sizeof(std::uint64_t));
  environ = env;
  if (h.argc > 0) {
    program_invocation_name = argv[0];
    program_invocation_short_name = const_cast<char*>(base_name(argv[0]));
  }
  state.released = true;
  *__errno_location() = 0;
  if (!at_ready_point) return state.real_main(static_cast<int>(h.argc), argv, env);
  // main has been entered long ago, and goes on.
  state.ready->first = static_cast<int>(h.first_argument);
  state.ready->argc = static_cast<int>(h.argc);
  state.ready->argv = argv;
  state.ready->envp = env;
  state.ready->signal_mask = h.signal_mask;
  state.ready->signal_ignored = h.signal_ignored;
  return 0;
}

// What nobody can see, and what may be for nothing: the request may never be granted.
void prepare(const RequestView& request, Received& received, int socket) {
  const RequestHeader& h = *request.header;
  // A forked child would be there already, also where nobody may go (any more).
  if (os::raw_syscall(SYS_fchdir, received.fds[h.fd_count]) != 0) leave(0);
  // Before the descriptors are placed: these may stand where one of them belongs.
  os::raw_syscall(SYS_close, socket);
  os::raw_syscall(SYS_close, received.fds[h.fd_count]);
  place_descriptors(request, received);
  os::raw_syscall(SYS_umask, h.umask);
}

// Where the rows of pointers go of a program whose stack is in use.
std::uint64_t* map_words(const RequestView& request, std::size_t count) {
  if (request.header->size <= launch::kInlineBytes) {
    return reinterpret_cast<std::uint64_t*>(state.request_area + launch::kInlineBytes);
  }
  char* pages = map_pages(count * sizeof(std::uint64_t));
  if (pages == nullptr) give_up();
  return reinterpret_cast<std::uint64_t*>(pages);
}

// Everything between taking a request and calling main.
int become(const RequestView& request, bool may_learn) {
  const RequestHeader& h = *request.header;
  state.program->releases.fetch_add(1, std::memory_order_relaxed);
  const bool learns = may_learn && start_learning();
  // Out of the program's reach; to unmap it takes twice as long, and its exit does it anyway.
  if (!learns) os::raw_syscall(SYS_mprotect, os::arg(state.program), sizeof(Program), PROT_NONE);
  if ((h.flags & launch::kRequestHasPgrp) != 0) os::raw_syscall(SYS_setpgid, 0, h.pgrp);
  const std::size_t count = std::size_t{h.argc} + h.envc + 3 + auxv_words();
  const bool at_ready_point = state.ready != nullptr;
  auto* words = at_ready_point
                    ? map_words(request, count)
                    : static_cast<std::uint64_t*>(__builtin_alloca_with_align(count * 8, 128));
  set_visible_arguments(request, at_ready_point ? start_of_stack() : words);
  os::raw_syscall(SYS_prctl, PR_SET_NAME, os::arg(base_name(exec_path())));
  set_signals(h);
  run_operations(request);
  return call_main(request, words, at_ready_point);
}

// Ends this process if a signal is pending that the program would notice. Was it there before the
// launch, and meant for somebody else, or has it come since? The launcher knows, for it has had the
// same signal: it repeats the launch, with or without it.
void leave_if_interrupted(const RequestHeader& h) {
  constexpr std::uint64_t kWithoutEffect =
      bit(SIGCHLD) | bit(SIGCONT) | bit(SIGURG) | bit(SIGWINCH);
  std::uint64_t pending = 0;
  os::raw_syscall(SYS_rt_sigpending, os::arg(&pending), 8);
  if (pending == 0) return;
  const std::uint64_t unnoticed = kWithoutEffect | h.signal_ignored | h.signal_mask;
  if ((pending & ~unnoticed) != 0) {
    state.program->interrupted.fetch_or(pending & ~unnoticed);
    leave(0);
  }
  // To ignore a signal discards it.
  for (int sig = 1; sig <= 64; ++sig) {
    if ((pending & bit(sig)) == 0) continue;
    set_disposition(sig, SIG_IGN);
    set_disposition(sig, SIG_DFL);
  }
}

// The sender is about to be done with looking, on another processor: it takes some microseconds,
// less than falling asleep and being woken up. If it takes longer it may be waiting for ours.
void await_grant(std::atomic<std::uint32_t>& word) {
  constexpr unsigned kLooks = 300;
  constexpr auto kClaimed = static_cast<std::uint32_t>(SlotState::claimed);
  for (unsigned i = 0; park::state_of(word) == SlotState::claimed; ++i) {
    if (i < kLooks) {
      os::relax();
    } else {
      os::futex_wait(word, kClaimed);
    }
  }
}

// From here on the launch is ours, and is never repeated by anybody; so are signals.
void take(const RequestHeader& h, std::atomic<std::uint32_t>& word) {
  const bool ahead = (h.flags & launch::kRequestAwaitsGrant) != 0;
  if (ahead) await_grant(word);
  leave_if_interrupted(h);
  // Whoever learns that it runs may end the owner, which then must not end the program.
  os::raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, 0);
  const SlotState before = ahead ? SlotState::granted : SlotState::claimed;
  if (!park::advance(word, before, SlotState::running)) leave(0);
  os::futex_wake_all(word);
}

// The whole of a request that came in a memfd, on the stack, where a kernel would have put it.
__attribute__((noinline)) int take_large(const RequestHeader& head, Received& received, int socket,
                                         std::atomic<std::uint32_t>& word) {
  if (received.count < 2 || head.size > launch::kMaxRequestBytes) give_up();
  const int memfd = received.fds[received.count - 1];
  auto* bytes = state.ready != nullptr
                    ? map_pages(head.size)
                    : static_cast<char*>(__builtin_alloca_with_align(head.size, 64));
  if (bytes == nullptr) give_up();
  std::size_t used = 0;
  while (used < head.size) {
    const long n = os::raw_syscall(SYS_pread64, memfd, os::arg(bytes + used),
                                   static_cast<long>(head.size - used), static_cast<long>(used));
    if (n <= 0) give_up();
    used += static_cast<std::size_t>(n);
  }
  os::raw_syscall(SYS_close, memfd);
  --received.count;
  RequestView view;
  if (!launch::parse_request(bytes, head.size, view)) give_up();
  if (received.count != view.header->fd_count + 1) give_up();
  prepare(view, received, socket);
  take(*view.header, word);
  return become(view, socket != kControlFd);
}

}  // namespace

void discard_messages(int socket) {
  // Closing the receiving end of everything that is queued is what recvmsg without room for
  // descriptors does (unix(7)): they are discarded.
  char byte;
  while (os::raw_syscall(SYS_recvfrom, socket, os::arg(&byte), 1, MSG_DONTWAIT) > 0) {
  }
}

int serve(int socket, std::atomic<std::uint32_t>& word, std::uint32_t generation) {
  alignas(64) char on_stack[launch::kInlineBytes];
  char* const buffer = state.ready != nullptr ? state.request_area : on_stack;
  Received received;
  for (;;) {
    const long n = receive(socket, buffer, sizeof on_stack, received);
    if (n == 0) leave(0);
    if (n < static_cast<long>(sizeof(RequestHeader))) give_up();
    const auto& head = *reinterpret_cast<const RequestHeader*>(buffer);
    if (head.magic != launch::kRequestMagic) give_up();
    if (head.generation != generation) {
      // Sent to an earlier clone in this slot, which died before it could take it.
      close_all(received);
      continue;
    }
    if ((head.flags & launch::kRequestInMemfd) != 0) {
      return take_large(head, received, socket, word);
    }
    RequestView view;
    if (!launch::parse_request(buffer, static_cast<std::size_t>(n), view)) give_up();
    if (received.count != view.header->fd_count + 1) give_up();
    prepare(view, received, socket);
    take(head, word);
    return become(view, socket != kControlFd);
  }
}

}  // namespace prewarm::agent
