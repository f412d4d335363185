// SPDX-License-Identifier: MIT
//
// Work of the service that may take long (reading and checking an image, writing one to the disk)
// is done by a copy of its process, so that requests are answered meanwhile. A copy has the
// service's sandbox.
#pragma once

#include <cstdint>
#include <functional>

#include "image/packet.h"
#include "image/refusal.h"
#include "os/fd.h"

namespace prewarm::image {

struct HelperResult {
  static constexpr std::size_t kMaxText = 4096;
  Refusal refusal = Refusal::build_failed;
  std::string text;
  std::vector<os::Fd> descriptors;
};

// What the copy does. It has no descriptors but standard ones and those in `keep`.
using HelperWork = std::function<HelperResult()>;

class Helper {
 public:
  // Not running: there could be no process. SIGCHLD must be ignored, so that nobody has to wait for
  // one that hangs in a disk.
  Helper(const HelperWork& work, std::span<const int> keep, std::int64_t deadline_ns);
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;
  // Kills it.
  ~Helper();

  bool running() const { return socket_.valid(); }
  // Readable when the result is there, or will never come.
  int fd() const { return socket_.get(); }
  std::int64_t deadline_ns() const { return deadline_ns_; }

  // Once readable, or past the deadline: `build_failed` if nothing came.
  HelperResult take();

 private:
  os::Fd socket_;
  os::Fd process_;
  std::int64_t deadline_ns_;
};

// Closes every descriptor above the standard ones but these.
void close_all_but(std::vector<int> keep);

}  // namespace prewarm::image
