// SPDX-License-Identifier: GPL-3.0-or-later
#include "bash/tally.h"

#include <sys/mman.h>

#include <cstring>

namespace prewarm::bash {

bool Tally::create() {
  void* at = ::mmap(nullptr, sizeof(CommandTally) * kMaxCommands, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return false;
  commands_ = static_cast<CommandTally*>(at);
  return true;
}

CommandTally* Tally::find(const char* path) {
  const std::size_t n = std::strlen(path);
  if (commands_ == nullptr || n >= sizeof commands_->path) return nullptr;
  for (unsigned i = 0; i < kMaxCommands; ++i) {
    CommandTally& c = commands_[i];
    std::uint32_t state = c.state.load(std::memory_order_acquire);
    if (state == 0 && c.state.compare_exchange_strong(state, 1)) {
      std::memcpy(c.path, path, n + 1);
      c.state.store(2, std::memory_order_release);
      return &c;
    }
    // Another process may just be writing this one: then a duplicate entry is the worst outcome.
    if (state == 2 && std::strcmp(c.path, path) == 0) return &c;
  }
  return nullptr;
}

void Tally::count(const char* path, Rung rung, launch::Reason reason, bool main_shell) {
  CommandTally* c = find(path);
  if (c == nullptr) return;
  c->launches[static_cast<unsigned>(rung)].fetch_add(1, std::memory_order_relaxed);
  c->reasons[static_cast<unsigned>(reason)].fetch_add(1, std::memory_order_relaxed);
  if (main_shell) c->main_launches.fetch_add(1, std::memory_order_relaxed);
}

void Tally::add_time(const char* path, Rung rung, std::uint64_t ns) {
  CommandTally* c = find(path);
  if (c == nullptr) return;
  c->timed[static_cast<unsigned>(rung)].fetch_add(1, std::memory_order_relaxed);
  c->elapsed_ns[static_cast<unsigned>(rung)].fetch_add(ns, std::memory_order_relaxed);
}

unsigned Tally::size() const {
  unsigned n = 0;
  while (commands_ != nullptr && n < kMaxCommands && commands_[n].state.load() != 0) ++n;
  return n;
}

std::uint32_t Tally::launches(const char* path) {
  const CommandTally* c = find(path);
  if (c == nullptr) return 0;
  std::uint32_t all = 0;
  for (const auto& n : c->launches) all += n.load();
  return all;
}

}  // namespace prewarm::bash
