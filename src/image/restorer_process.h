// SPDX-License-Identifier: MIT
//
// What the restorer finds of the process that it runs in: the initial stack, as the kernel has laid
// it out.
//
// Restrictions: see restorer.cc.
#pragma once

#include <elf.h>

#include <cstdint>

#include "image/format.h"

namespace prewarm::image {

// The name that PREWARM's part of LD_AUDIT begins with: `LD_AUDIT=RESTORER:prewarm:CONTEXT:FD,FD,…`
// in decimal: how many bytes the image's header and tables take, the image, and the files that
// regions are mapped from. The variable is the environment's last.
inline constexpr char kAuditVariable[] = "LD_AUDIT=";
inline constexpr char kAuditMark[] = ":prewarm:";

struct Auxiliary {  // entries of the auxiliary vector, or null
  Elf64_auxv_t* begin = nullptr;
  std::uint64_t size = 0;  // bytes, with the last
  Elf64_auxv_t* program_headers = nullptr;
  Elf64_auxv_t* header_count = nullptr;
  Elf64_auxv_t* file_name = nullptr;
  Elf64_auxv_t* base = nullptr;
  Elf64_auxv_t* entry = nullptr;
  Elf64_auxv_t* vdso = nullptr;
  std::uint64_t random = 0, platform = 0;
  std::uint64_t hwcap = 0, hwcap2 = 0, signal_stack = 0, clock_ticks = 0, secure = 1;
};

// The initial stack: argc, argv, envp, auxv. A view; `take_variable` changes it.
struct InitialStack {
  std::uint64_t* start = nullptr;  // argc
  char** argv = nullptr;
  char** environment = nullptr;
  std::uint64_t variables = 0;
  Auxiliary auxiliary;
};

InitialStack read_stack(char** argv);

// Takes the last variable out of the environment, of which there is one; the auxiliary vector comes
// down by a slot. Afterwards `stack` is as it is now.
void take_variable(InitialStack& stack);

// The descriptors that the variable names.
struct Descriptors {
  std::uint64_t context_bytes = 0;
  int count = 0;                          // 0: there are none
  int numbers[kMaxMappedFiles + 1] = {};  // the image first
};
Descriptors read_descriptors(const InitialStack& stack);

}  // namespace prewarm::image
