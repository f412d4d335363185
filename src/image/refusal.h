// SPDX-License-Identifier: MIT
//
// Why a program is started by the stock loader and not from an image. One sentence each, which
// stands after "stock loader: ".
#pragma once

#include <cstdint>
#include <string_view>

namespace prewarm::image {

#define PREWARM_REFUSALS(X)                                                                     \
  X(none, "an image is used")                                                                   \
  /* about the moment */                                                                        \
  X(no_service, "the loader service can't be reached")                                          \
  X(no_image, "there is no image yet")                                                          \
  X(being_built, "the image is being made")                                                     \
  X(stale, "a file that the image was made from has changed")                                   \
  X(damaged, "the image is damaged")                                                            \
  X(other_version, "the loader service or the image is of another version")                     \
  X(not_allowed, "the loader service serves another user")                                      \
  X(other_root, "the loader service is in another root or mount namespace")                     \
  X(too_busy, "the loader service has reached one of its limits")                               \
  X(loader_variables, "an environment variable that ld.so looks at is set")                     \
  X(no_descriptors, "there are no free descriptors")                                            \
  X(other_conditions, "the stack's limit, the processor or the kernel isn't as it was")         \
  X(address_taken, "a part of the address space that the image needs is taken")                 \
  X(cannot_map, "the kernel has refused to map the image or to move the vDSO")                  \
  /* about the program */                                                                       \
  X(not_found, "the program can't be read")                                                     \
  X(not_elf, "the program isn't an x86-64 ELF file")                                            \
  X(static_program, "the program is static")                                                    \
  X(other_loader, "the program's dynamic linker isn't glibc's of this system")                  \
  X(privileged, "the program changes user, group or capabilities when it is executed")          \
  X(executable_stack, "the program or a library needs an executable stack")                     \
  X(own_layout, "the program is checked by a sanitizer that lays out the address space itself") \
  X(not_linked, "ld.so could not link the program")                                             \
  X(unusual_start, "something but ld.so's own work happens before the constructors")            \
  X(not_understood, "a word of its memory differs from start to start, for an unknown reason")  \
  X(too_large, "its image would be larger than the bound")                                      \
  X(no_memory, "there is no memory or disk space for its image")                                \
  X(cannot_trace, "tracing processes isn't allowed here")                                       \
  X(not_worth_it, "its start is as short without")                                              \
  X(build_failed, "the builder has failed")

enum class Refusal : std::uint32_t {
#define PREWARM_REFUSAL_NAME(name, sentence) name,
  PREWARM_REFUSALS(PREWARM_REFUSAL_NAME)
#undef PREWARM_REFUSAL_NAME
      count,
};

// "no_image", and its sentence.
std::string_view refusal_name(Refusal refusal);
std::string_view refusal_sentence(Refusal refusal);

}  // namespace prewarm::image
