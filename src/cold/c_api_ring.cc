// SPDX-License-Identifier: MIT
//
// The C interface: the ring.
#include <array>
#include <climits>
#include <cstdio>
#include <utility>
#include <vector>

#include "cold/c_api.h"
#include "prewarm_config.h"

using prewarm::Backend;
using prewarm::Completion;
using prewarm::Operation;
using prewarm::RingOptions;
using prewarm::SpawnRing;
using prewarm::cold::from_c;
using prewarm::cold::is_operation;
using prewarm::cold::to_c;

struct prewarm_ring {
  SpawnRing ring;
};

namespace {

constexpr std::size_t kCompletionsAtOnce = 64;

static_assert(PREWARM_BACKEND_AUTOMATIC == static_cast<int>(Backend::automatic));
static_assert(PREWARM_BACKEND_IO_URING == static_cast<int>(Backend::io_uring));

bool is_backend(int backend) { return backend >= 0 && backend <= PREWARM_BACKEND_IO_URING; }

// By pieces of the C++ form, which owns its pidfds; so nothing is allocated. `take` is what fills
// one, and says how many it has.
template <class Take>
int take_completions(prewarm_completion* to, std::size_t size, Take take) {
  std::array<Completion, kCompletionsAtOnce> piece;
  std::size_t taken = 0;
  while (taken < std::min<std::size_t>(size, INT_MAX)) {
    const int count =
        take(std::span(piece).first(std::min(piece.size(), size - taken)), taken == 0);
    if (count < 0) return taken == 0 ? count : static_cast<int>(taken);
    if (count == 0) break;
    for (Completion& c : std::span(piece).first(static_cast<std::size_t>(count))) {
      to[taken++] = {c.user_data, c.result, static_cast<std::uint32_t>(c.code), c.pidfd.release(),
                     0};
    }
  }
  return static_cast<int>(taken);
}

}  // namespace

const char* prewarm_version(void) { return PREWARM_VERSION; }

int prewarm_probe(enum prewarm_backend backend, char* why, size_t size) {
  if (!is_backend(backend)) return -EINVAL;
  const auto works = prewarm::probe(static_cast<Backend>(backend));
  if (works) return 0;
  if (why != nullptr) std::snprintf(why, size, "%s", works.error().message().c_str());
  return to_c(works.error());
}

int prewarm_ring_create(const prewarm_ring_options* given, prewarm_ring** ring) {
  if (ring == nullptr) return -EFAULT;
  *ring = nullptr;
  const auto from =
      prewarm::cold::take_options(given, prewarm_ring_options PREWARM_RING_OPTIONS_INIT);
  if (!is_backend(from.backend)) return -EINVAL;
  RingOptions options;
  options.entries = from.entries;
  options.completions = from.completions;
  options.backend = static_cast<Backend>(from.backend);
  options.own_task = from.own_task != 0;
  options.awake_us = from.awake_us;
  options.opcode_clone = from.opcode_clone;
  options.opcode_exec = from.opcode_exec;
  auto made = SpawnRing::create(options);
  if (!made) return to_c(made.error());
  *ring = new prewarm_ring{*std::move(made)};
  return 0;
}

void prewarm_ring_free(prewarm_ring* ring) { delete ring; }

int prewarm_ring_push(prewarm_ring* ring, const prewarm_operation* operation) {
  if (ring == nullptr || operation == nullptr) return -EFAULT;
  if (!is_operation(*operation)) return -EINVAL;
  return ring->ring.push(from_c(*operation)) ? 0 : -EAGAIN;
}

int prewarm_ring_push_chain(prewarm_ring* ring, const prewarm_operation* operations, size_t count) {
  if (ring == nullptr || operations == nullptr) return -EFAULT;
  std::vector<Operation> chain;
  for (const prewarm_operation& operation : std::span(operations, count)) {
    if (!is_operation(operation)) return -EINVAL;
    chain.push_back(from_c(operation));
  }
  return ring->ring.push_chain(chain) ? 0 : -EAGAIN;
}

int prewarm_ring_submit(prewarm_ring* ring) {
  if (ring == nullptr) return -EFAULT;
  const auto count = ring->ring.submit();
  return count ? static_cast<int>(*count) : to_c(count.error());
}

int prewarm_ring_reap(prewarm_ring* ring, prewarm_completion* completions, size_t size) {
  if (ring == nullptr || completions == nullptr) return -EFAULT;
  return take_completions(completions, size, [ring](std::span<Completion> piece, bool) {
    return static_cast<int>(ring->ring.reap(piece));
  });
}

int prewarm_ring_wait(prewarm_ring* ring, prewarm_completion* completions, size_t size,
                      int timeout_ms) {
  if (ring == nullptr || completions == nullptr) return -EFAULT;
  if (size == 0) return -EINVAL;
  return take_completions(completions, size, [&](std::span<Completion> piece, bool first) {
    if (!first) return static_cast<int>(ring->ring.reap(piece));
    const auto count = ring->ring.wait(piece, timeout_ms);
    return count ? static_cast<int>(*count) : to_c(count.error());
  });
}

unsigned prewarm_ring_outstanding(const prewarm_ring* ring) {
  return ring != nullptr ? ring->ring.outstanding() : 0;
}

int prewarm_ring_pollable(const prewarm_ring* ring) {
  return ring != nullptr ? ring->ring.pollable() : -1;
}

int prewarm_ring_cancel(prewarm_ring* ring, uint64_t user_data) {
  if (ring == nullptr) return -EFAULT;
  const auto cancelled = ring->ring.cancel(user_data);
  return cancelled ? 0 : to_c(cancelled.error());
}

enum prewarm_backend prewarm_ring_backend(const prewarm_ring* ring) {
  return ring != nullptr ? static_cast<enum prewarm_backend>(ring->ring.backend())
                         : PREWARM_BACKEND_AUTOMATIC;
}
