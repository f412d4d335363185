// SPDX-License-Identifier: MIT
//
// Asking the loader service for an image: the map request of wire.h alone.
//
// Restrictions: runs before the C library is initialised. Raw system calls only; no libc, no
// allocation, no errno, no thread-local or other static data. Its object file needs no symbol from
// outside (map_client_symbols_test.cc).
#pragma once

#include <cstdint>

#include "image/format.h"
#include "image/refusal.h"
#include "image/wire.h"

namespace prewarm::image {

// How long a start waits for a service that hangs, before it goes the stock way.
inline constexpr unsigned kMapTimeoutMs = 50;

struct MapCall {
  const char* socket_path = nullptr;    // see service_socket_path
  int exec_fd = -1;                     // the program's file, for reading or O_PATH; stays open
  int pidfd = -1;                       // of the process that will be the program; stays open
  std::uint64_t stack_limit = 0;        // RLIMIT_STACK of that process, soft
  std::uint32_t flags = 0;              // kMap*
  const char* path = nullptr;           // the program's absolute path
  const char* preload = "";             // that of what LD_PRELOAD will name; "": it isn't set
  std::uint32_t fewest_regions = 0;     // see MapRequest
  unsigned timeout_ms = kMapTimeoutMs;  // of all; more if kMapWait
};

// An image that was given. All descriptors are the caller's, and close on exec.
struct MappedImage {
  int image = -1;
  unsigned file_count = 0;
  int files[kMaxMappedFiles];  // in the order of ImageFile::descriptor
  std::uint64_t entry = 0;
  std::uint64_t context = 0;
  std::uint64_t image_bytes = 0;
};

// A request that has been sent.
struct MapQuestion {
  int socket = -1;
  unsigned timeout_ms = kMapTimeoutMs;  // of what is left of it
};

// Sends the request. Refusal::none: the answer is to be received; what the service does until then
// needn't be waited for. Otherwise nothing is left open. A service that can't be reached, doesn't
// answer in time, breaks the protocol, or isn't this user's is `no_service`.
Refusal send_map(const MapCall& call, MapQuestion& question);

// Waits for the answer. Refusal::none: `result` is valid. Otherwise nothing is left open.
Refusal receive_map(const MapQuestion& question, MappedImage& result);

// Both.
Refusal request_map(const MapCall& call, MappedImage& result);

// Writes the service's socket for a process with this environment into `buffer`, the same as
// os::runtime_directory() with kServiceSocketName. False: it is too long for a socket's name.
bool service_socket_path(const char* const* environment, char* buffer, unsigned size);

// The same for another file beside the socket; `name` begins with a slash.
bool runtime_file_path(const char* const* environment, const char* name, char* buffer,
                       unsigned size);

// Closes what a result holds.
void close_mapped(MappedImage& image);

}  // namespace prewarm::image
