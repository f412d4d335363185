// SPDX-License-Identifier: MIT
//
// prewarm-entry, which entries are copies of; see entry.h.
//
// Restrictions: there is no C library; as image_start.h. It lies where the command does, out of the
// way of programs with fixed addresses.
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/mman.h>

#include "image/audit_variable.h"
#include "image/entry.h"
#include "image/image_start.h"
#include "image/plain_text.h"
#include "os/raw_syscall.h"

#if defined(__x86_64__)
asm(".text\n"
    ".globl _start\n"
    ".type _start, @function\n"
    "_start:\n"
    "  xor %ebp, %ebp\n"
    "  mov %rsp, %rdi\n"
    "  and $-16, %rsp\n"
    "  call prewarm_entry_main\n"
    "  hlt\n"
    ".size _start, . - _start\n");
#else
#error "prewarm knows no start for this processor"
#endif

namespace prewarm::image {
namespace {

using os::arg;
using os::raw_syscall;

constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

// Written to in the file, before it is a program.
[[gnu::section(".prewarm_entry"), gnu::used]] const volatile EntryPlaces places = {
    {kEntryMagic[0], kEntryMagic[1], kEntryMagic[2], kEntryMagic[3], kEntryMagic[4], kEntryMagic[5],
     kEntryMagic[6], kEntryMagic[7]},
    0,
    0,
    0,
    0,
    0,
    {},
    {},
    {}};

const char* text_of(const volatile char* place) { return const_cast<const char*>(place); }

bool restorer_is_known() {
  struct statx s;
  return raw_syscall(SYS_statx, AT_FDCWD, arg(text_of(places.restorer)), 0,
                     STATX_INO | STATX_SIZE | STATX_CTIME, arg(&s)) == 0 &&
         ((std::uint64_t{s.stx_dev_major} << 32) | s.stx_dev_minor) == places.restorer_device &&
         s.stx_ino == places.restorer_inode && s.stx_size == places.restorer_size &&
         s.stx_ctime.tv_sec * 1'000'000'000 + s.stx_ctime.tv_nsec == places.restorer_changed_ns;
}

// `prewarm exec --path PROGRAM -- ARGV…`. Returns if the command isn't there any more.
void ask_command(const InitialStack& stack) {
  constexpr std::uint64_t kOwn = 5;
  const std::uint64_t count = *stack.start;
  const long at = raw_syscall(SYS_mmap, 0, static_cast<long>((count + kOwn + 1) * sizeof(char*)),
                              PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at < 0 && at > -4096) return;
  const auto argv = reinterpret_cast<const char**>(at);
  argv[0] = "prewarm";
  argv[1] = "exec";
  argv[2] = "--path";
  argv[3] = text_of(places.program);
  argv[4] = "--";
  for (std::uint64_t i = 0; i <= count; ++i) argv[kOwn + i] = stack.argv[i];
  raw_syscall(SYS_execve, arg(text_of(places.command)), arg(argv), arg(stack.environment));
}

[[noreturn]] void fail(long error) {
  char line[2 * kEntryPathBytes];
  PlainText text(line, sizeof line);
  const bool is_missing = error == -ENOENT;
  text.add("prewarm: ").add(text_of(places.program));
  text.add(is_missing ? ": there is no such program (`prewarm image uninstall` removes its entry)\n"
                      : ": the program can't be executed\n");
  raw_syscall(SYS_write, 2, arg(line), length_of(line));
  for (;;) raw_syscall(SYS_exit_group, is_missing ? kNotFound : kNotExecutable);
}

}  // namespace

extern "C" [[noreturn, gnu::used]] void prewarm_entry_main(std::uint64_t* stack_start) {
  const InitialStack stack = read_stack(reinterpret_cast<char**>(stack_start + 1));
  const char* const program = text_of(places.program);
  const bool names_path = (places.flags & kEntryNamesPath) != 0;
  if (names_path && *stack.start != 0) stack.argv[0] = const_cast<char*>(program);
  if (!has_loader_variables(stack.environment)) {
    if (restorer_is_known()) {
      const ImageStart start{program, stack.argv, false, !names_path};
      AskedStart asked;
      Refusal refusal = begin_start(stack, start, asked);
      if (refusal == Refusal::none) {
        refusal = finish_start(stack, start, asked, text_of(places.restorer));
      }
      if (refusal == Refusal::no_service && service_start_is_due(stack)) ask_command(stack);
    } else {
      ask_command(stack);
    }
  }
  fail(raw_syscall(SYS_execve, arg(program), arg(stack.argv), arg(stack.environment)));
}

}  // namespace prewarm::image
