// SPDX-License-Identifier: MIT
#include "image/restorer_direct.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <sys/mman.h>

#include "image/plain_text.h"
#include "image/restorer_core.h"
#include "os/raw_syscall.h"

namespace prewarm::image {
namespace {

using os::raw_syscall;

constexpr std::uint64_t kPathBytes = 4096;

// The stack as the kernel would have laid it out for the program: the command's own arguments are
// gone from the front of argv, and behind the auxiliary vector is the program's path. All of it
// comes to lie lower, over frames of functions that nobody returns to.
InitialStack lay_out(const DirectStart& start, const char* path, std::uint64_t path_bytes) {
  const auto* from = reinterpret_cast<const std::uint64_t*>(start.argv);
  const auto* const end = reinterpret_cast<const std::uint64_t*>(
      reinterpret_cast<const char*>(start.stack.auxiliary.begin) + start.stack.auxiliary.size);
  const auto left_out = static_cast<std::uint64_t>(start.argv - start.stack.argv);
  const std::uint64_t count = *start.stack.start - left_out;
  const auto words = static_cast<std::uint64_t>(end - from);
  std::uint64_t* to = const_cast<std::uint64_t*>(end) - (path_bytes + 7) / 8 - words;
  if ((reinterpret_cast<std::uint64_t>(to - 1) & 15) != 0) --to;
  for (std::uint64_t i = 0; i < words; ++i) to[i] = from[i];
  char* const name = reinterpret_cast<char*>(to + words);
  for (std::uint64_t i = 0; i < path_bytes; ++i) name[i] = path[i];
  to[-1] = count;
  InitialStack stack = read_stack(reinterpret_cast<char**>(to));
  stack.auxiliary.file_name->a_un.a_val = reinterpret_cast<std::uint64_t>(name);
  return stack;
}

// Where the kernel would have put the heap: behind a program with fixed addresses, or else where it
// puts programs without them, at random.
std::uint64_t heap_start(const Restoration& r) {
  std::uint64_t random = 0;
  raw_syscall(SYS_getrandom, os::arg(&random), sizeof random, 0);
  const auto* regions = reinterpret_cast<const ImageRegion*>(
      reinterpret_cast<const char*>(r.header) + r.header->regions.offset);
  std::uint64_t end = 0;
  for (std::uint64_t i = 0; i < r.header->regions.count; ++i) {
    if (regions[i].address < kArenaLowest) end = regions[i].address + regions[i].size;
  }
  constexpr std::uint64_t kBehindProgram = 1 << 13;  // pages: 32 MiB
  constexpr std::uint64_t kMovable = 0x5555'5555'4000;
  constexpr std::uint64_t kMovablePages = 1ULL << 28;  // a TiB
  return end != 0 ? end + kPageSize * (random % kBehindProgram + 1)
                  : kMovable + kPageSize * (random % kMovablePages);
}

const char* environment_end(const InitialStack& stack) {
  if (stack.variables == 0) return *stack.start == 0 ? nullptr : stack.argv[0];
  const char* last = stack.environment[stack.variables - 1];
  return last + length_of(last) + 1;
}

void set_name(const char* path) {
  const char* name = path;
  for (const char* c = path; *c != '\0'; ++c) {
    if (*c == '/') name = c + 1;
  }
  raw_syscall(SYS_prctl, PR_SET_NAME, os::arg(name));
}

}  // namespace

extern "C" [[gnu::visibility("default")]] void prewarm_restore_direct(const DirectStart* start) {
  Restoration r;
  r.stack = start->stack;
  r.descriptors = start->descriptors;
  r.executable = start->executable;
  if (!map_header(r) || !conditions_hold(r) ||
      !is_program_of(r, start->executable, "", AT_EMPTY_PATH)) {
    return;
  }
  char path[kPathBytes];
  const std::uint64_t path_bytes = length_of(start->path) + 1;
  if (path_bytes > sizeof path) return;
  for (std::uint64_t i = 0; i < path_bytes; ++i) path[i] = start->path[i];
  const Extent own = {start->code, start->code + start->code_size};
  const auto& auxiliary = start->stack.auxiliary;
  const Extent command =
      extent_of(auxiliary.program_headers->a_un.a_val, auxiliary.header_count->a_un.a_val, 0);
  char** argv = start->argv;
  char** environment = start->stack.environment;

  raw_syscall(SYS_munmap, static_cast<long>(command.begin),
              static_cast<long>(command.end - command.begin));
  if (map_regions(r)) {
    r.heap = heap_start(r);
    r.stack = lay_out(*start, path, path_bytes);
    r.environment_end = environment_end(r.stack);
    argv = r.stack.argv;
    environment = r.stack.environment;
    if (move_vdso(r)) {
      correct_auxiliary(r);
      if (tell_kernel(r) && adopt_thread(r) && patch(r)) {
        set_name(path);
        close_all(r.descriptors);
        leave(r, own);
      }
    }
  }
  raw_syscall(SYS_execve, os::arg(path), os::arg(argv), os::arg(environment));
  raw_syscall(SYS_exit_group, 126);
}

}  // namespace prewarm::image
