// SPDX-License-Identifier: MIT
//
// `prewarm exec`, before the C library of the command is initialised: initialising it takes longer
// than all that is to be done.
//
// Restrictions: raw system calls only; no libc, no allocation, no errno, no thread-local data. Its
// object file needs no symbol from outside but those of map_client and restorer_process
// (freestanding_symbols_test.cc).
#pragma once

#include <cstdint>

namespace prewarm::image {

// `stack`: argc, and behind it argv, the environment and the auxiliary vector, as the kernel has
// laid them out. Becomes the program that `prewarm exec [--image FILE] [--] PROGRAM ARGUMENT…`
// names, from an image if there is one; returns if the command line is another, if anything is to
// be said, or if the program can't be executed: then the command has to see to it as usual.
extern "C" void prewarm_exec_front(std::uint64_t* stack);

}  // namespace prewarm::image
