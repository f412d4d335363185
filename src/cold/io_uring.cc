// SPDX-License-Identifier: MIT
#include "cold/io_uring.h"

#include <fcntl.h>
#include <liburing.h>

#include <cerrno>
#include <string>

#include "os/process.h"
#include "os/result.h"

namespace prewarm::cold {
namespace {

constexpr unsigned kEntries = 256;

void prepare_clone(io_uring_sqe* entry, int opcode) {
  io_uring_prep_rw(opcode, entry, 0, nullptr, 0, 0);
}

void prepare_exec(io_uring_sqe* entry, int opcode, const Operation& o) {
  const bool by_path = o.code == OperationCode::exec;
  io_uring_prep_rw(opcode, entry, by_path ? AT_FDCWD : o.fd, by_path ? o.data : "", 0, 0);
  entry->addr2 = word(o.extra);
  entry->addr3 = o.more;
  entry->rw_flags = by_path ? 0 : AT_EMPTY_PATH;  // the same word as the proposed execve_flags
}

}  // namespace

struct IoUring::Ring {
  io_uring uring{};
  int opcode_clone = -1;
  int opcode_exec = -1;
};

IoUring::IoUring(std::unique_ptr<Ring> ring) : ring_(std::move(ring)) {}

IoUring::~IoUring() { ::io_uring_queue_exit(&ring_->uring); }

Result<std::unique_ptr<IoUring>> IoUring::create(int opcode_clone, int opcode_exec) {
  auto ring = std::make_unique<Ring>();
  ring->opcode_clone = opcode_clone;
  ring->opcode_exec = opcode_exec;
  // ENOSYS and EPERM: the kernel is built without it, a sandbox or the administrator forbids it.
  if (const int r = ::io_uring_queue_init(kEntries, &ring->uring, 0); r < 0) {
    return os::failed_with(-r, "set up an io_uring");
  }
  std::unique_ptr<IoUring> made(new IoUring(std::move(ring)));
  constexpr const char* kMissing = "io_uring on this kernel has no operations to clone and exec";
  if (opcode_clone < 0 || opcode_exec < 0) return os::failed_with(ENOTSUP, kMissing);
  io_uring_probe* known = ::io_uring_get_probe_ring(&made->ring_->uring);
  if (known == nullptr) return os::failed_with(ENOTSUP, kMissing);
  const bool both = io_uring_opcode_supported(known, opcode_clone) != 0 &&
                    io_uring_opcode_supported(known, opcode_exec) != 0;
  ::io_uring_free_probe(known);
  if (!both) {
    return os::failed_with(
        ENOTSUP, kMissing,
        "(" + std::to_string(opcode_clone) + " and " + std::to_string(opcode_exec) + ")");
  }
  return made;
}

Started IoUring::start(Chain& chain) {
  io_uring& uring = ring_->uring;
  const Operation& clone = chain.operations[0].what;
  const bool plain = clone.value == 0 && clone.fd < 0 && (clone.more & kDetached) == 0;
  if (!plain || chain.count > kEntries) return {-EOPNOTSUPP, Fd(), false};
  for (std::uint32_t i = 1; i < chain.count; ++i) {
    PlannedOperation& o = chain.operations[i];
    if (is_exec(o.what.code) || o.what.code == OperationCode::close) continue;
    o.result = -EOPNOTSUPP;
    return {-EOPNOTSUPP, Fd(), false};
  }

  for (std::uint32_t i = 0; i < chain.count; ++i) {
    const Operation& o = chain.operations[i].what;
    io_uring_sqe* entry = ::io_uring_get_sqe(&uring);
    if (i == 0) {
      prepare_clone(entry, ring_->opcode_clone);
    } else if (is_exec(o.code)) {
      prepare_exec(entry, ring_->opcode_exec, o);
    } else {
      io_uring_prep_close(entry, o.fd);
    }
    entry->user_data = i;
    // There a failed exec goes on only along a hard link: what our chains call a plain one.
    const bool last = i + 1 == chain.count;
    const bool goes_on = is_exec(o.code) ? !o.hard_linked : o.hard_linked;
    if (!last) entry->flags |= goes_on ? IOSQE_IO_HARDLINK : IOSQE_IO_LINK;
  }
  int made = ::io_uring_submit_and_wait(&uring, chain.count);
  std::int32_t cloned = made < 0 ? made : -ECANCELED;
  for (std::uint32_t i = 0; made >= 0 && i < chain.count; ++i) {
    io_uring_cqe* done = nullptr;
    made = ::io_uring_wait_cqe(&uring, &done);
    if (made < 0) break;
    if (done->user_data == 0) {
      cloned = done->res;
    } else if (done->user_data < chain.count) {
      chain.operations[done->user_data].result = done->res < 0 ? done->res : 0;
    }
    io_uring_cqe_seen(&uring, done);
  }
  const bool wants_pidfd = cloned > 0 && (clone.more & kWantsPidfd) != 0;
  return {cloned, wants_pidfd ? os::watch(cloned) : Fd(), false};
}

}  // namespace prewarm::cold
