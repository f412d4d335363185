// SPDX-License-Identifier: MIT
//
// A stopped child that is traced: its registers and memory, and system calls that it is made to do.
#pragma once

#include <elf.h>
#include <sys/types.h>
#include <sys/user.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "os/fd.h"
#include "os/result.h"

namespace prewarm::image {

using Registers = user_regs_struct;

// The instruction int3 (x86-64). Where it was executed `rip` is behind it.
inline constexpr std::uint8_t kBreakpoint = 0xcc;

// A line of /proc/PID/maps.
struct MappedRange {
  std::uint64_t begin = 0, end = 0, offset = 0;
  int protection = 0;
  std::string name;            // path, "[vdso]", or empty
  bool has_own_pages = false;  // some of its pages aren't the file's (from smaps; else false)
};

// Owns the child: it is killed and reaped with the object, unless `detach` was called.
class Tracee {
 public:
  // The child, which has asked to be traced and stopped by its exec.
  explicit Tracee(pid_t pid) : pid_(pid) {}
  Tracee(const Tracee&) = delete;
  Tracee& operator=(const Tracee&) = delete;
  ~Tracee();

  pid_t pid() const { return pid_; }
  os::Result<void> set_options(unsigned long options);

  os::Result<Registers> registers() const;
  os::Result<void> set_registers(const Registers& registers);

  os::Result<void> read(std::uint64_t address, void* buffer, std::size_t size) const;
  // Also where the process itself may not write.
  os::Result<void> write(std::uint64_t address, const void* buffer, std::size_t size);
  os::Result<std::uint64_t> read_word(std::uint64_t address) const;
  os::Result<std::string> read_string(std::uint64_t address) const;
  // A dynamic section, without DT_NULL at its end.
  os::Result<std::vector<Elf64_Dyn>> read_dynamic(std::uint64_t address) const;

  // Goes on to the next system call's begin or end, or to a signal; the wait status says which
  // (SIGTRAP | 0x80 for a system call). An error when it has ended.
  os::Result<int> continue_to_call(int signal = 0);
  os::Result<int> continue_freely(int signal = 0);
  os::Result<int> step();

  // Has the process do a system call by the `syscall` instruction at `gadget`; registers are as
  // before afterwards. The result is the kernel's, negative errno included.
  os::Result<long> call(std::uint64_t gadget, long number, const std::vector<std::uint64_t>& args);

  // It executes a copy of the file at `path`: in what is told of its mappings `name` is that file.
  void executes_copy(std::string name, std::string path) {
    copy_name_ = std::move(name);
    path_ = std::move(path);
  }

  // With `own_pages` which mappings have pages of their own, which takes longer.
  os::Result<std::vector<MappedRange>> mappings(bool own_pages) const;
  // The one with `address` in it. An error where nothing is mapped.
  os::Result<MappedRange> mapping_at(std::uint64_t address) const;

 private:
  os::Result<int> resume(int request, int signal);

  pid_t pid_ = -1;
  std::string copy_name_, path_;
  mutable os::Fd memory_;
};

}  // namespace prewarm::image
