// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <errno.h>
#include <linux/futex.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "observe.h"
#include "proc.h"

#ifdef __x86_64__
#include <asm/prctl.h>
#endif

extern "C" void* __libc_stack_end;  // NOLINT: glibc's, where the kernel put argc

namespace mirror {
namespace {

long thread_count() {
  DIR* const directory = opendir("/proc/self/task");
  if (directory == nullptr) return -1;
  long count = 0;
  while (const dirent* const entry = readdir(directory)) count += entry->d_name[0] != '.';
  closedir(directory);
  return count;
}

// libc keeps the thread id in the thread's descriptor: these kinds of mutex show whether it is the
// one the kernel knows.
std::string owner_of_locked(int kind) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, kind);
  pthread_mutex_t mutex;
  pthread_mutex_init(&mutex, &attributes);
  pthread_mutexattr_destroy(&attributes);
  const int first = pthread_mutex_lock(&mutex);
  const int owner = mutex.__data.__owner;
  const int second = pthread_mutex_lock(&mutex);
  std::string text = owner == gettid() ? "own thread" : "another thread";
  text += second == EDEADLK ? ", deadlock seen"
          : second == 0     ? ", locked again"
                            : ", " + error_text(second);
  if (first != 0) text += ", first " + error_text(first);
  if (second == 0) pthread_mutex_unlock(&mutex);
  pthread_mutex_unlock(&mutex);
  pthread_mutex_destroy(&mutex);
  return text;
}

std::string robust_mutex() {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_t mutex;
  pthread_mutex_init(&mutex, &attributes);
  pthread_mutexattr_destroy(&attributes);
  const int locked = pthread_mutex_lock(&mutex);
  const bool own = (mutex.__data.__owner & FUTEX_TID_MASK) == gettid();
  pthread_mutex_unlock(&mutex);
  pthread_mutex_destroy(&mutex);
  return locked != 0 ? error_text(locked) : own ? "own thread" : "another thread";
}

std::string robust_list() {
  void* head = nullptr;
  std::size_t length = 0;
  if (syscall(SYS_get_robust_list, 0, &head, &length) != 0) return error_text(errno);
  return head == nullptr ? "none" : "registered, length " + std::to_string(length);
}

// Where the kernel will clear the thread's id when it ends: libc joins threads by it.
std::string tid_address() {
  int* address = nullptr;
  if (prctl(PR_GET_TID_ADDRESS, &address) != 0) return error_text(errno);
  if (address == nullptr) return "none";
  return *address == gettid() ? "holds own id" : "holds another value";
}

std::string restartable_sequences() {
  const unsigned size = __rseq_size;
  if (size == 0) return "not registered by libc";
  auto* const area = reinterpret_cast<struct rseq*>(static_cast<char*>(__builtin_thread_pointer()) +
                                                    __rseq_offset);
  const int cpu = static_cast<int>(area->cpu_id);
  std::string text = "size " + std::to_string(size) + ", flags " + std::to_string(__rseq_flags);
  text += cpu >= 0 ? ", processor known" : ", cpu_id " + std::to_string(cpu);
  // Registering the same area again is refused as busy, which proves that the kernel has it.
  constexpr unsigned registered_length = 32;
  if (syscall(SYS_rseq, area, registered_length, 0, RSEQ_SIG) == 0)
    return text + ", not in the kernel";
  return text + ", registering again: " + error_text(errno);
}

std::string thread_pointer() {
#ifdef __x86_64__
  unsigned long base = 0;
  if (syscall(SYS_arch_prctl, ARCH_GET_FS, &base) != 0) return error_text(errno);
  return base == pthread_self() ? "pthread_self" : "another";
#else
  return "unknown";
#endif
}

// RLIMIT_STACK as libc sees it: the main thread's stack reaches down from the end of its mapping
// by the soft limit, less what lies above the first frame.
std::string stack_size_against_limit(std::size_t size) {
  rlimit limit{};
  if (getrlimit(RLIMIT_STACK, &limit) != 0) return error_text(errno);
  if (limit.rlim_cur == RLIM_INFINITY) return "unlimited";
  constexpr rlim_t most_above_first_frame = 8U << 20U;
  const bool fits = size <= limit.rlim_cur && limit.rlim_cur - size <= most_above_first_frame;
  return fits ? "the limit" : "not the limit";
}

void observe_stack_attributes(Report& report, const Mapping* stack) {
  pthread_attr_t attributes;
  const int error = pthread_getattr_np(pthread_self(), &attributes);
  if (error != 0) {
    report.add_error("stack.pthread_size", error);
    return;
  }
  void* address = nullptr;
  std::size_t size = 0;
  std::size_t guard = 0;
  pthread_attr_getstack(&attributes, &address, &size);
  pthread_attr_getguardsize(&attributes, &guard);
  pthread_attr_destroy(&attributes);
  report.add("stack.pthread_size", stack_size_against_limit(size));
  report.add_number("stack.guard", static_cast<long long>(guard));
  const char* const end = static_cast<char*>(address) + size;
  report.add_yes_no("stack.pthread_end_in_mapping", stack != nullptr && stack->contains(end - 1));
}

// Threads that allocate while all of them live get an arena each, up to the limit that
// MALLOC_ARENA_MAX or a tunable set before main.
class Allocators {
 public:
  static constexpr int wanted = 2;

  std::string run() {
    pthread_t threads[wanted];
    int started = 0;
    int error = 0;
    while (started < wanted && error == 0) {
      error = pthread_create(&threads[started], nullptr, allocate, this);
      if (error == 0) ++started;
    }
    pthread_mutex_lock(&mutex_);
    while (ready_ < started) pthread_cond_wait(&changed_, &mutex_);
    const std::string arenas = std::to_string(count_arenas());
    done_ = true;
    pthread_cond_broadcast(&changed_);
    pthread_mutex_unlock(&mutex_);
    for (int i = 0; i < started; ++i) pthread_join(threads[i], nullptr);
    return error != 0 ? error_text(error) : std::to_string(started) + " ran, arenas " + arenas;
  }

 private:
  static void* allocate(void* argument) {
    auto& self = *static_cast<Allocators*>(argument);
    void* volatile block = std::malloc(5000);
    std::free(block);
    pthread_mutex_lock(&self.mutex_);
    ++self.ready_;
    pthread_cond_broadcast(&self.changed_);
    while (!self.done_) pthread_cond_wait(&self.changed_, &self.mutex_);
    pthread_mutex_unlock(&self.mutex_);
    return nullptr;
  }

  static int count_arenas() {
    char* text = nullptr;
    std::size_t size = 0;
    FILE* const stream = open_memstream(&text, &size);
    if (stream == nullptr) return -1;
    malloc_info(0, stream);
    std::fclose(stream);
    int count = 0;
    for (const char* at = text; (at = std::strstr(at, "<heap nr=")) != nullptr; ++at) ++count;
    std::free(text);
    return count;
  }

  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed_ = PTHREAD_COND_INITIALIZER;
  int ready_ = 0;
  bool done_ = false;
};

}  // namespace

void observe_thread_identity(Report& report) {
  report.add_number("thread.count", thread_count());
  report.add_yes_no("thread.tid_is_pid", gettid() == getpid());
  report.add_number("thread.kill_self", pthread_kill(pthread_self(), 0));
  report.add("thread.errorcheck_mutex", owner_of_locked(PTHREAD_MUTEX_ERRORCHECK));
  report.add("thread.recursive_mutex", owner_of_locked(PTHREAD_MUTEX_RECURSIVE));
  report.add("thread.robust_mutex", robust_mutex());
  report.add("thread.robust_list", robust_list());
  report.add("thread.tid_address", tid_address());
  report.add("thread.rseq", restartable_sequences());
  report.add("thread.pointer", thread_pointer());
}

void observe_stack(Report& report, const Start& start) {
  const auto mappings = read_mappings();
  const int local = 0;
  const Mapping* stack = nullptr;
  for (const auto& mapping : mappings) {
    if (mapping.name == "[stack]") stack = &mapping;
  }
  report.add("stack.of_main", mapping_name(mappings, &local));
  report.add("stack.libc_end", mapping_name(mappings, __libc_stack_end));
  if (stack != nullptr) report.add("stack.permissions", stack->permissions);
  // As the kernel lays it out: argc, then the pointers of argv, at the very start of the stack.
  const bool first_frame = stack != nullptr && stack->contains(__libc_stack_end) &&
                           *static_cast<long*>(__libc_stack_end) == start.argc &&
                           static_cast<char**>(__libc_stack_end) + 1 == start.argv;
  report.add_yes_no("stack.starts_with_argc_argv", first_frame);
  const auto distance =
      reinterpret_cast<const char*>(start.argv) - reinterpret_cast<const char*>(&local);
  report.add_yes_no("stack.main_is_near_argv", distance > 0 && distance < (1 << 16));
  observe_stack_attributes(report, stack);
}

void observe_new_threads(Report& report) {
  pthread_attr_t attributes;
  std::size_t size = 0;
  const int error = pthread_getattr_default_np(&attributes);
  if (error == 0) {
    pthread_attr_getstacksize(&attributes, &size);
    pthread_attr_destroy(&attributes);
  }
  report.add("thread.default_stack_size", error == 0 ? std::to_string(size) : error_text(error));
  report.add("thread.new", Allocators().run());
}

}  // namespace mirror
