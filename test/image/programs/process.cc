// SPDX-License-Identifier: MIT
//
// What a program does with its process: stacks, jumps, signals, children, memory, threads.
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

extern "C" void* __libc_stack_end;

namespace {

void say(const char* what, long value) { std::printf("%s: %ld\n", what, value); }

struct Mapping {
  unsigned long begin, end;
  char flags[8];
  std::string name;
};

std::vector<Mapping> mappings() {
  std::vector<Mapping> all;
  FILE* const file = std::fopen("/proc/self/maps", "re");
  char line[5000];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    Mapping m{};
    int at = 0;
    if (std::sscanf(line, "%lx-%lx %7s %*s %*s %*s %n", &m.begin, &m.end, m.flags, &at) < 3) {
      continue;
    }
    line[std::strcspn(line, "\n")] = '\0';
    m.name = line + at;
    all.push_back(m);
  }
  std::fclose(file);
  return all;
}

const Mapping* mapping_of(const std::vector<Mapping>& all, const void* address) {
  const auto at = reinterpret_cast<unsigned long>(address);
  for (const auto& m : all) {
    if (m.begin <= at && at < m.end) return &m;
  }
  return nullptr;
}

// Words on the stack as the kernel lays them out.
void initial_stack(int argc, char** argv, char** envp) {
  auto** end = envp;
  while (*end != nullptr) ++end;
  const auto* auxiliary = reinterpret_cast<const Elf64_auxv_t*>(end + 1);
  say("argc below argv", reinterpret_cast<long*>(argv)[-1] == argc);
  say("stack end is argc", __libc_stack_end == reinterpret_cast<long*>(argv) - 1);
  say("argc is aligned", reinterpret_cast<std::uintptr_t>(reinterpret_cast<long*>(argv) - 1) % 16);
  say("environment behind argv", envp == argv + argc + 1);
  for (; auxiliary->a_type != AT_NULL; ++auxiliary) {
    std::printf("auxiliary %lu, the same %d\n", auxiliary->a_type,
                getauxval(auxiliary->a_type) == auxiliary->a_un.a_val);
  }
  const char* string = argv[0];
  for (char** at = argv; at < end; ++at) {
    if (*at == nullptr) continue;
    if (*at != string) say("strings have a gap at", at - argv);
    string = *at + std::strlen(*at) + 1;
  }
  const auto all = mappings();
  const auto* stack = mapping_of(all, argv);
  say("file name on it", mapping_of(all, reinterpret_cast<void*>(getauxval(AT_EXECFN))) == stack);
  std::printf("stack %s %s\n", stack->name.c_str(), stack->flags);
}

// What the kernel says of the process's memory.
void memory_of_kernel(char** argv, char** envp) {
  FILE* const file = std::fopen("/proc/self/stat", "re");
  char text[4096];
  const auto size = std::fread(text, 1, sizeof text - 1, file);
  std::fclose(file);
  text[size] = '\0';
  std::vector<unsigned long> fields;
  for (char* at = std::strrchr(text, ')') + 4; *at != '\0';) {
    fields.push_back(std::strtoul(at, &at, 10));
    while (*at == ' ' || *at == '\n') ++at;
  }
  const auto field = [&](unsigned number) { return fields[number - 4]; };  // as proc(5) numbers
  const auto all = mappings();
  const auto* code = mapping_of(all, reinterpret_cast<void*>(getauxval(AT_ENTRY)));
  const auto* headers = mapping_of(all, reinterpret_cast<void*>(getauxval(AT_PHDR)));
  say("code begins", static_cast<long>(field(26) - headers->begin));
  say("entry is in code", field(26) <= getauxval(AT_ENTRY) && getauxval(AT_ENTRY) < field(27));
  say("program's code", code->name == headers->name && code->flags[2] == 'x');
  say("stack begins at argc", field(28) == reinterpret_cast<unsigned long>(argv) - 8);
  const auto* data = mapping_of(all, reinterpret_cast<void*>(field(45)));
  say("data", data != nullptr);
  say("data's size", static_cast<long>(field(46) - field(45)));
  say("heap begins at the break", field(47) <= reinterpret_cast<unsigned long>(sbrk(0)));
  say("arguments", field(48) == reinterpret_cast<unsigned long>(argv[0]));
  say("arguments end where the environment begins", field(49) == field(50));
  say("environment", envp[0] == nullptr || field(50) == reinterpret_cast<unsigned long>(envp[0]));
  say("environment's size", static_cast<long>(field(51) - field(50)));
}

void protections() {
  const auto all = mappings();
  long both = 0;
  long executable_stacks = 0;
  for (const auto& m : all) {
    both += m.flags[1] == 'w' && m.flags[2] == 'x';
    executable_stacks += m.name == "[stack]" && m.flags[2] == 'x';
  }
  say("writable and executable", both);
  say("executable stacks", executable_stacks);
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        const auto& known = *static_cast<const std::vector<Mapping>*>(data);
        const char* const slash = std::strrchr(info->dlpi_name, '/');
        const char* const name = slash == nullptr ? info->dlpi_name : slash + 1;
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& segment = info->dlpi_phdr[i];
          const auto begin = (info->dlpi_addr + segment.p_vaddr + 4095) & ~4095UL;
          const auto last = ((info->dlpi_addr + segment.p_vaddr + segment.p_memsz) & ~4095UL) - 1;
          if (segment.p_type == PT_GNU_RELRO && last > begin) {
            const auto* m = mapping_of(known, reinterpret_cast<void*>(begin));
            const auto* n = mapping_of(known, reinterpret_cast<void*>(last));
            std::printf("%s: read-only after relocation %s %s\n", name,
                        m == nullptr ? "-" : m->flags, n == nullptr ? "-" : n->flags);
          }
          if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0) {
            const auto* m =
                mapping_of(known, reinterpret_cast<void*>(info->dlpi_addr + segment.p_vaddr));
            std::printf("%s: code %s\n", name, m == nullptr ? "-" : m->flags);
          }
        }
        return 0;
      },
      const_cast<std::vector<Mapping>*>(&all));
}

void clocks() {
  const auto* vdso = reinterpret_cast<const unsigned char*>(getauxval(AT_SYSINFO_EHDR));
  say("vDSO", std::memcmp(vdso, ELFMAG, SELFMAG) == 0);
  timespec by_vdso{}, by_kernel{}, again{};
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &by_kernel);
  clock_gettime(CLOCK_MONOTONIC, &by_vdso);
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &again);
  const auto ns = [](const timespec& t) { return t.tv_sec * 1'000'000'000L + t.tv_nsec; };
  say("clock", ns(by_kernel) <= ns(by_vdso) && ns(by_vdso) <= ns(again));
  timeval now{};
  gettimeofday(&now, nullptr);
  const auto time_now = time(nullptr);
  say("time", time_now >= now.tv_sec && time_now - now.tv_sec < 60);
  for (const auto& m : mappings()) {
    if (m.name.starts_with("[v") && m.name != "[vsyscall]") {
      std::printf("%s %s %lu\n", m.name.c_str(), m.flags, m.end - m.begin);
    }
  }
}

int deep(int n) {
  volatile char frame[1000];
  frame[0] = static_cast<char>(n);
  frame[999] = 1;
  return n == 0 ? frame[999] : deep(n - 1) + frame[999];
}

sigjmp_buf jump;
void on_overflow(int, siginfo_t* info, void*) { siglongjmp(jump, info->si_code == 0 ? 1 : 2); }

// Doesn't return: the stack ends first.
int overflow(int n) {
  volatile char frame[4096];
  frame[n & 4095] = static_cast<char>(n);
  return n < 0 ? 0 : overflow(n + 1) + frame[0];
}

void stacks() {
  pthread_attr_t attributes;
  pthread_getattr_np(pthread_self(), &attributes);
  void* begin = nullptr;
  std::size_t size = 0, guard = 0;
  pthread_attr_getstack(&attributes, &begin, &size);
  pthread_attr_getguardsize(&attributes, &guard);
  int here = 0;
  say("stack size", static_cast<long>(size + (1 << 19)) >> 20);
  say("here is on it",
      &here >= begin && reinterpret_cast<char*>(&here) < static_cast<char*>(begin) + size);
  say("guard", static_cast<long>(guard));
  pthread_attr_destroy(&attributes);
  say("seven megabytes deep", deep(7000));
  static char other[65536];
  stack_t alternative{};
  alternative.ss_sp = other;
  alternative.ss_size = sizeof other;
  sigaltstack(&alternative, nullptr);
  struct sigaction action{};
  action.sa_sigaction = on_overflow;
  action.sa_flags = SA_ONSTACK | SA_SIGINFO;
  sigaction(SIGSEGV, &action, nullptr);
  const int jumped = sigsetjmp(jump, 1);
  if (jumped == 0) overflow(0);
  say("overflow is noticed", jumped);
  signal(SIGSEGV, SIG_DFL);
  pthread_getattr_default_np(&attributes);
  pthread_attr_getstacksize(&attributes, &size);
  say("stacks of threads", static_cast<long>(size));
}

ucontext_t main_context, other_context;
void in_context() {
  std::puts("in another context");
  swapcontext(&other_context, &main_context);
  std::puts("and back");
}

void jumps() {
  static jmp_buf plain;
  static volatile int count = 0;
  if (setjmp(plain) < 3) {
    count = count + 1;
    longjmp(plain, count);
  }
  say("jumped", count);
  getcontext(&other_context);
  static char stack[65536];
  other_context.uc_stack.ss_sp = stack;
  other_context.uc_stack.ss_size = sizeof stack;
  other_context.uc_link = &main_context;
  makecontext(&other_context, in_context, 0);
  swapcontext(&main_context, &other_context);
  swapcontext(&main_context, &other_context);
}

int status_of(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return status;
}

void children(const char* self) {
  std::fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    std::printf("child of %d, in thread %d\n", getppid() != 1, gettid() == getpid());
    std::fflush(stdout);
    _exit(3);
  }
  say("forked", status_of(pid));
  pid = vfork();
  if (pid == 0) {
    execl("/bin/echo", "echo", "by vfork", nullptr);
    _exit(127);
  }
  say("vforked", status_of(pid));
  char* const arguments[] = {const_cast<char*>(self), const_cast<char*>("again"), nullptr};
  posix_spawnp(&pid, self, nullptr, nullptr, arguments, environ);
  say("spawned", status_of(pid));
  say("system", std::system("exit 4"));
  FILE* const pipe = popen("echo by popen", "re");
  char line[100] = "";
  (void)!std::fgets(line, sizeof line, pipe);
  std::printf("%s", line);
  say("closed", pclose(pipe));
  pid = fork();
  if (pid == 0) std::abort();
  say("aborted", WTERMSIG(status_of(pid)));
}

void memory() {
  void* const old = sbrk(0);
  say("break moves", sbrk(1 << 20) == old);
  std::memset(old, 1, 1 << 20);
  say("and back", sbrk(-(1 << 20)) == static_cast<char*>(old) + (1 << 20));
  std::vector<void*> blocks;
  for (int i = 0; i < 1000; ++i) blocks.push_back(std::malloc(static_cast<std::size_t>(i) * 100));
  for (void* block : blocks) std::free(block);
  (void)malloc_trim(0);
  const auto all = mappings();
  const Mapping* heap = nullptr;
  for (const auto& m : all) {
    if (m.name == "[heap]") heap = &m;
  }
  say("a heap", heap != nullptr);
  say("first block in it", heap != nullptr && mapping_of(all, blocks[1]) == heap);
  rlimit limit{};
  getrlimit(RLIMIT_DATA, &limit);
  const rlimit small{16 << 20, limit.rlim_max};
  setrlimit(RLIMIT_DATA, &small);
  say("data limit", sbrk(1 << 25) == reinterpret_cast<void*>(-1));
  setrlimit(RLIMIT_DATA, &limit);
  void* const mapped =
      mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  // The kernel begins up to a TiB below the stack, wherever that is.
  say("mapped from above", reinterpret_cast<unsigned long>(mapped) >= 0x7e00'0000'0000);
}

void threads() {
  say("processor by rseq", __rseq_size);
  const auto* area = reinterpret_cast<const struct rseq*>(
      static_cast<char*>(__builtin_thread_pointer()) + __rseq_offset);
  // The kernel keeps it up to date: a registration that is not live would say -1 or -2.
  say("registered", static_cast<int>(area->cpu_id) >= 0);
  cpu_set_t set, old;
  sched_getaffinity(0, sizeof old, &old);
  long right = 0, tried = 0;
  for (int cpu = 0; cpu < 64; ++cpu) {
    if (!CPU_ISSET(cpu, &old)) continue;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
    ++tried;
    right += sched_getcpu() == cpu && area->cpu_id == static_cast<unsigned>(cpu);
  }
  sched_setaffinity(0, sizeof old, &old);
  say("processors", tried - right);

  static pthread_mutex_t robust;
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&robust, &attributes);
  std::thread([] { pthread_mutex_lock(&robust); }).join();
  say("owner died", pthread_mutex_lock(&robust) == EOWNERDEAD);
  pthread_mutex_consistent(&robust);
  pthread_mutex_unlock(&robust);
  // The same for the first thread of a process.
  auto* const shared = static_cast<pthread_mutex_t*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(shared, &attributes);
  std::fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) {
    pthread_mutex_lock(shared);
    _exit(0);
  }
  status_of(pid);
  say("its process died", pthread_mutex_lock(shared) == EOWNERDEAD);

  pthread_t thread;
  pthread_create(
      &thread, nullptr,
      [](void*) -> void* {
        for (;;) pause();
      },
      nullptr);
  pthread_cancel(thread);
  void* result = nullptr;
  pthread_join(thread, &result);
  say("cancelled", result == PTHREAD_CANCELED);
  say("thread's id", gettid() == getpid());
  pthread_mutex_t checked = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
  pthread_mutex_lock(&checked);
  say("own lock is known", pthread_mutex_lock(&checked) == EDEADLK);
}

// A stack protector and a pointer guard that are the same in each start would be none.
void secrets() {
  std::uint64_t canary = 0, guard = 0;
  asm("mov %%fs:0x28, %0" : "=r"(canary));
  asm("mov %%fs:0x30, %0" : "=r"(guard));
  const auto* random = reinterpret_cast<const std::uint64_t*>(getauxval(AT_RANDOM));
  say("canary", canary == (random[0] & ~0xffULL));
  say("guard", guard == random[1]);
}

void names() {
  char name[16] = "";
  prctl(PR_GET_NAME, name);
  std::printf("%s, %s, %s, %s\n", name, program_invocation_short_name,
              std::strrchr(program_invocation_name, '/'),
              std::strrchr(reinterpret_cast<char*>(getauxval(AT_EXECFN)), '/'));
  say("dumpable", prctl(PR_GET_DUMPABLE));
  say("personality", personality(0xffffffff));
  say("death signal", [] {
    int number = 0;
    prctl(PR_GET_PDEATHSIG, &number);
    return number;
  }());
  say("no new privileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  say("timer slack", prctl(PR_GET_TIMERSLACK));
  say("secure", static_cast<long>(getauxval(AT_SECURE)));
}

}  // namespace

int main(int argc, char** argv, char** envp) {
  if (argc > 1) return std::strcmp(argv[1], "again") == 0 ? 5 : 6;
  initial_stack(argc, argv, envp);
  memory_of_kernel(argv, envp);
  names();
  secrets();
  protections();
  clocks();
  stacks();
  jumps();
  children(argv[0]);
  memory();
  threads();
  return 0;
}
