// SPDX-License-Identifier: MIT
//
// `prewarm exec`, before the C library of the command is initialised: initialising it takes longer
// than all that is to be done.
//
// Restrictions: raw system calls only; no libc, no allocation, no errno, no thread-local data. Its
// object file needs no symbol from outside but those of image_start, map_client and
// restorer_process (freestanding_symbols_test.cc).
#pragma once

#include <cstdint>

namespace prewarm::image {

// `stack`: argc, and behind it argv, the environment and the auxiliary vector, as the kernel has
// laid them out. Becomes the program that `prewarm exec [--image FILE] [--path FILE] [--] PROGRAM
// ARGUMENT…` names, from an image if there is one, else as usual; returns if the command line is
// another, if anything is to be said, if a service is to be started, or if the program can't be
// executed: then the command has to see to it.
extern "C" void prewarm_exec_front(std::uint64_t* stack);

}  // namespace prewarm::image
