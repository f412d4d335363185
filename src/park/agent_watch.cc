// SPDX-License-Identifier: MIT
//
// Watches constructors. They run once, when the program is parked, and serve many launches; so what
// they do must leave nothing but memory of their own, and they must see nothing that could be
// different at a launch. Each of their system calls is looked at before it is made (Syscall User
// Dispatch, Linux 5.11: the kernel sends SIGSYS instead of making it), and arguments and
// environment lead to a page that can't be read. getenv, which notes what was asked, is the
// agent's own, meanwhile also within libc. A program that fails here is refused. Restrictions: see
// agent.h.
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <ucontext.h>

#include "park/agent_memory.h"

extern "C" {
extern char** environ;
extern char* program_invocation_name;
extern char* program_invocation_short_name;
extern const char __ehdr_start[] __attribute__((visibility("hidden")));  // where we begin (ld)
void prewarm_return_from_signal() __attribute__((visibility("hidden")));
char* getenv(const char*);
}

// What a handler returns to: a system call in our own code.
asm(".text\n"
    ".globl prewarm_return_from_signal\n"
    ".hidden prewarm_return_from_signal\n"
    ".type prewarm_return_from_signal, @function\n"
    "prewarm_return_from_signal:\n"
    "  mov $15, %eax\n"  // SYS_rt_sigreturn
    "  syscall\n");

namespace prewarm::agent {
namespace {

using launch::Reason;

constexpr int kSetDispatch = 59;  // PR_SET_SYSCALL_USER_DISPATCH
constexpr greg_t kTrapFlag = 0x100;
constexpr int kWatched[] = {SIGSYS, SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
constexpr char kParkedName[] = "prewarm-parked";

// jmp *(%rip), and where to.
struct __attribute__((packed)) Jump {
  std::uint8_t code[6];
  std::uint64_t target;
};

struct Watch {
  char* page;           // unreadable; argv[0] lies at its start, all else points behind that
  char** pointers;      // what argv and environ held, their null pointers included
  std::size_t count;    // of them
  const char** vector;  // where: on the initial stack
  char* libc_getenv;
};
constinit Watch watch{};

char* place_of(std::size_t i) { return watch.page + (i == 0 ? 0 : kPage / 2); }

bool is_guarded(const void* p) { return p >= watch.page && p < watch.page + kPage; }

void protect_page(int protection) {
  os::raw_syscall(SYS_mprotect, os::arg(watch.page), kPage, protection);
}

greg_t* registers(void* context) { return static_cast<ucontext_t*>(context)->uc_mcontext.gregs; }

void on_call(int, siginfo_t*, void* context) {
  greg_t* r = registers(context);
  const long arguments[6] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9]};
  const long number = r[REG_RAX];
  for (const long a : arguments) {
    if (is_guarded(reinterpret_cast<const void*>(a))) refuse(Reason::looks_early);
  }
  if (const Reason reason = judge_call(number, arguments); reason != Reason::none) refuse(reason);
  r[REG_RAX] = os::raw_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                               arguments[4], arguments[5]);
}

void on_fault(int, siginfo_t* info, void* context) {
  if (!is_guarded(info->si_addr)) refuse(Reason::acts_early);
  // libc's own initialisation, which comes first, takes the program's name from argv[0]. Nobody
  // else may: the page is open for this one instruction.
  if (program_invocation_name == watch.page) refuse(Reason::looks_early);
  protect_page(PROT_READ);
  registers(context)[REG_EFL] |= kTrapFlag;
}

void after_step(int, siginfo_t*, void* context) {
  protect_page(PROT_NONE);
  registers(context)[REG_EFL] &= ~kTrapFlag;
}

// What the kernel calls a sigaction. All zero: the default.
struct Action {
  void (*handler)(int, siginfo_t*, void*);
  unsigned long flags;
  void (*restorer)();
  std::uint64_t mask;
};

void set_action(int sig, const Action& action) {
  os::raw_syscall(SYS_rt_sigaction, sig, os::arg(&action), 0, 8);
}

void handle(int sig, void (*handler)(int, siginfo_t*, void*)) {
  constexpr unsigned long kRestorer = 0x04000000;  // SA_RESTORER
  set_action(sig, {handler, SA_SIGINFO | kRestorer, prewarm_return_from_signal, 0});
}

void allow(int how) {
  std::uint64_t set = 0;
  for (const int sig : kWatched) set |= std::uint64_t{1} << (sig - 1);
  os::raw_syscall(SYS_rt_sigprocmask, how, os::arg(&set), 0, 8);
}

char* map_private(std::size_t size) {
  const long at = os::raw_syscall(SYS_mmap, 0, static_cast<long>(size), PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at < 0 && at > -4096) refuse(Reason::system_refused);
  return reinterpret_cast<char*>(at);
}

// Takes arguments and environment away. argv and environ follow each other on the initial stack.
void guard_strings(char** argv, char** envp) {
  char** end = envp;
  while (*end != nullptr) ++end;
  watch.vector = const_cast<const char**>(argv);
  watch.count = static_cast<std::size_t>(end + 1 - argv);
  watch.pointers = reinterpret_cast<char**>(map_private(watch.count * sizeof(char*)));
  watch.page = map_private(kPage);
  copy(watch.page, argv[0], length(argv[0]));
  for (std::size_t i = 0; i < watch.count; ++i) {
    watch.pointers[i] = argv[i];
    if (argv[i] != nullptr) argv[i] = place_of(i);
  }
  protect_page(PROT_NONE);
  state.environment = watch.pointers + (envp - argv);
}

// The pages in which libc's getenv begins.
struct Span {
  std::uint64_t start;
  std::uint64_t end;
};
Span pages_of_getenv() {
  const auto at = reinterpret_cast<std::uint64_t>(watch.libc_getenv);
  return {at & ~(kPage - 1), ((at + sizeof(Jump) - 1) & ~(kPage - 1)) + kPage};
}

// Through /proc/self/mem, which leaves libc's text one mapping. If that can't be done, then what
// libc itself asks refuses the program.
void replace_getenv() {
  watch.libc_getenv = static_cast<char*>(dlsym(RTLD_NEXT, "getenv"));
  if (watch.libc_getenv == nullptr) refuse(Reason::system_refused);
  const Jump jump{{0xff, 0x25, 0, 0, 0, 0}, reinterpret_cast<std::uint64_t>(&getenv)};
  const long memory =
      os::raw_syscall(SYS_openat, AT_FDCWD, os::arg("/proc/self/mem"), O_RDWR | O_CLOEXEC);
  if (memory < 0) return;
  os::raw_syscall(SYS_pwrite64, memory, os::arg(&jump), sizeof jump, os::arg(watch.libc_getenv));
  os::raw_syscall(SYS_close, memory);
}

// ---- At the end: whether anything of what was guarded has been changed or kept

bool is_unchanged(char** envp) {
  if (environ != envp || program_invocation_name != watch.page ||
      program_invocation_short_name != watch.page) {
    return false;
  }
  for (std::size_t i = 0; i < watch.count; ++i) {
    if (watch.vector[i] != (watch.pointers[i] == nullptr ? nullptr : place_of(i))) return false;
  }
  return true;
}

// Whether the word at `data` belongs to libc, ld.so or the agent, who know where arguments are.
int is_of_libc(dl_phdr_info* info, std::size_t, void* data) {
  const auto at = reinterpret_cast<ElfW(Addr)>(data);
  if (!is_of_c_library(info->dlpi_name)) return 0;
  for (unsigned i = 0; i < info->dlpi_phnum; ++i) {
    const auto& p = info->dlpi_phdr[i];
    const auto start = info->dlpi_addr + p.p_vaddr;
    if (p.p_type == PT_LOAD && at >= start && at < start + p.p_memsz) return 1;
  }
  return 0;
}

// Whether the page of memory at `address` holds a pointer to arguments or environment.
bool holds_pointer(std::uint64_t address) {
  auto* const words = reinterpret_cast<void**>(address);
  for (void** at = words; at < words + kPage / sizeof *words; ++at) {
    const bool of_vector = *at >= watch.vector && *at < watch.vector + watch.count;
    if (!of_vector && !is_guarded(*at)) continue;
    // libc's variables; the program itself may have the only copy of them.
    const void* const variables[] = {&environ, &program_invocation_name,
                                     &program_invocation_short_name};
    bool known = dl_iterate_phdr(is_of_libc, at) != 0;
    for (const void* v : variables) known = known || v == at;
    if (!known) return true;
  }
  return false;
}

// Whether a pointer to arguments or environment lies anywhere in memory: at a launch they will be
// elsewhere.
bool is_kept() {
  const long pagemap = open_pagemap();
  if (pagemap < 0) return true;
  bool found = false;
  const bool searched = each_mapping([&](const Mapping& m) {
    const bool own = m.start == reinterpret_cast<std::uint64_t>(watch.pointers);
    if (!m.readable || !m.writable || m.shared || m.is_special() || m.is_stack() || own) return;
    walk_pages(m.start, m.end, pagemap, [&found](std::uint64_t address, std::uint64_t entry) {
      // A page of a file that nobody has written to can't hold a pointer.
      if ((entry & (kPresent | kSwapped)) == 0 || (entry & kFileOrShared) != 0) return;
      found = found || holds_pointer(address);
    });
  });
  os::raw_syscall(SYS_close, pagemap);
  return found || !searched;
}

// The first constructor of all: the agent is linked with -z initfirst.
__attribute__((constructor)) void start_watching(int, char** argv, char** envp) {
  os::raw_syscall(SYS_prctl, PR_SET_NAME, os::arg(kParkedName));
  // libc gives the name another value in its own constructor, which must come after us.
  if (!follow_orders(envp) || program_invocation_name[0] != '\0') leave(127);
  state.came_first = true;
  // A program that says itself when it is ready answers for what it has done by then.
  if (!has_constructors() && !state.to_ready_point) return;
  replace_getenv();
  if (state.to_ready_point) return;
  guard_strings(argv, envp);
  for (const int sig : kWatched) handle(sig, on_fault);
  handle(SIGSYS, on_call);
  handle(SIGTRAP, after_step);
  allow(SIG_UNBLOCK);
  // Our own system calls are made: all code of ours lies between our first byte and our data.
  const long size = os::arg(&watch) - os::arg(__ehdr_start);
  if (os::raw_syscall(SYS_prctl, kSetDispatch, 1, os::arg(__ehdr_start), size, 0) != 0) {
    refuse(Reason::system_refused);
  }
}

}  // namespace

// What is dropped is read from the file again.
void restore_getenv() {
  const Span pages = pages_of_getenv();
  advise(pages.start, pages.end, MADV_DONTNEED);
}

void stop_watching(int argc, char** argv) {
  if (watch.page == nullptr) return;
  os::raw_syscall(SYS_prctl, kSetDispatch, 0, 0, 0, 0);
  allow(SIG_BLOCK);
  for (const int sig : kWatched) set_action(sig, {});
  restore_getenv();
  char** const envp = argv + argc + 1;
  if (!is_unchanged(envp) || is_kept()) refuse(Reason::looks_early);
  for (std::size_t i = 0; i < watch.count; ++i) watch.vector[i] = watch.pointers[i];
  program_invocation_name = argv[0];
  program_invocation_short_name = argv[0];
  state.environment = nullptr;
  os::raw_syscall(SYS_munmap, os::arg(watch.pointers),
                  static_cast<long>(watch.count * sizeof(char*)));
  os::raw_syscall(SYS_munmap, os::arg(watch.page), kPage);
}

}  // namespace prewarm::agent
