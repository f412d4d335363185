// SPDX-License-Identifier: MIT
//
// The variable that brings the restorer into a program (restorer_process.h says what is in it), and
// the exec with it.
//
// Restrictions: raw system calls only; no libc, no allocation, no errno, no thread-local data.
#pragma once

#include "image/map_client.h"

namespace prewarm::image {

// Whether there are variables that change how ld.so or malloc start: LD_*, GLIBC_TUNABLES,
// MALLOC_*. Such launches are cold, and such starts stock: the restorer's variable would have to be
// one of them.
bool has_loader_variables(char* const* environment);

// Room for the variable, with the zero byte.
inline constexpr unsigned kAuditVariableBytes = 4096 + kMaxMappedFiles * 8;

// Writes the variable into `buffer`, which has room for kAuditVariableBytes. False: it doesn't fit,
// or `restorer` can't be in it.
bool write_audit_variable(const char* restorer, const MappedImage& image, char* buffer);

// The same for descriptors that will have the numbers from `first` on, the image's first.
bool write_audit_variable(const char* restorer, const MappedImage& image, int first, char* buffer);

// The image's descriptors outlive an exec from here on.
void keep_over_exec(const MappedImage& image);

// Executes the program with the variable behind all others. Returns if that fails.
void execute_with_variable(const char* path, char* const* argv, char* const* environment,
                           const char* variable);

}  // namespace prewarm::image
