// SPDX-License-Identifier: MIT
//
// The part of the loader service that is outside its sandbox: a small process, forked before the
// sandbox begins and ending with the service, that starts builders and opens files of programs
// outside the library directories. It does nothing else, whatever it is asked.
//
// A builder is started as
//   COMMAND... --to-descriptor 3 [--pack | --no-pack] [--preload FILE] PROGRAM
// with nothing open but standard streams and descriptor 3, an empty memfd, into which it writes the
// image. Its status is 0, or kBuilderRefused + a Refusal, or something else: `build_failed`. Its
// RLIMIT_STACK (soft) is that of the request, and LD_* and GLIBC_TUNABLES are not in its
// environment. It is killed, and its process group with it, at the time limit and when the service
// ends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "image/map_target.h"
#include "image/refusal.h"
#include "os/fd.h"
#include "os/result.h"

namespace prewarm::image {

inline constexpr int kBuilderRefused = 64;
static_assert(kBuilderRefused + static_cast<int>(Refusal::count) < 126);
inline constexpr int kBuilderDescriptor = 3;
inline constexpr std::size_t kMaxBuilders = 2;

struct SpawnerOptions {
  std::vector<std::string> builder;
  std::int64_t build_seconds = 0;
  std::uint64_t build_bytes = 0;
};

// The service's side. All descriptors are closed with it, which ends the process.
class SpawnerClient {
 public:
  struct Built {
    std::uint64_t id = 0;
    Refusal refusal = Refusal::build_failed;
    os::Fd memfd;  // if the refusal is `none`; not sealed
  };

  // Forks the spawner.
  static os::Result<SpawnerClient> start(const SpawnerOptions& options);

  // Readable when there are results.
  int fd() const { return orders_.get(); }
  // False: it can't be ordered now.
  bool build(std::uint64_t id, const MapTarget& target);
  // Nothing: none now. `gone`: there is no spawner any more.
  std::optional<Built> next(bool& gone);

  // Keep it to use `open_file` in a process of one's own.
  int opener() const { return opener_.get(); }
  // Waits. A regular file that begins as ELF files do, open for reading; or not valid.
  static os::Fd open_file(int opener, const std::string& path);

 private:
  SpawnerClient(os::Fd orders, os::Fd opener)
      : orders_(std::move(orders)), opener_(std::move(opener)) {}

  os::Fd orders_;
  os::Fd opener_;
};

}  // namespace prewarm::image
