// SPDX-License-Identifier: MIT
//
// The spawner's own side; for spawner*.cc only.
#pragma once

#include <array>

#include "image/spawner.h"

struct pollfd;

namespace prewarm::image {

struct BuildOrder {
  std::uint64_t id = 0;
  std::uint64_t stack_limit = 0;
  std::uint32_t variant = 0;  // a Variant
  std::uint32_t path_bytes = 0;
  std::uint32_t preload_bytes = 0;
  std::uint32_t reserved = 0;
};

struct BuildReport {
  std::uint64_t id = 0;
  Refusal refusal = Refusal::none;
  std::uint32_t reserved = 0;
};

class SpawnerProcess {
 public:
  SpawnerProcess(SpawnerOptions options, os::Fd orders, os::Fd opener)
      : options_(std::move(options)), orders_(std::move(orders)), opener_(std::move(opener)) {}

  // Until the service is gone.
  void run();

 private:
  struct Builder {
    pid_t pid = -1;
    os::Fd process;
    os::Fd memfd;
    std::uint64_t id = 0;
    std::int64_t deadline_ns = 0;
  };

  bool take_order();
  Refusal start(const BuildOrder& order, const std::string& path, const std::string& preload);
  void take_end(Builder& builder);
  void report(std::uint64_t id, Refusal refusal, const os::Fd& memfd);
  void take_open();
  int timeout() const;

  SpawnerOptions options_;
  os::Fd orders_;
  os::Fd opener_;
  std::array<Builder, kMaxBuilders> builders_;
};

}  // namespace prewarm::image
