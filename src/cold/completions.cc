// SPDX-License-Identifier: MIT
#include "cold/completions.h"

#include <sys/eventfd.h>

#include <utility>

#include "os/futex.h"

namespace prewarm::cold {

bool Completions::reserve(unsigned count) {
  const std::lock_guard lock(mutex_);
  if (count > queue_.size() - (reserved_ - taken_)) return false;
  reserved_ += count;
  return true;
}

void Completions::post(Completion completion) {
  const std::lock_guard lock(mutex_);
  queue_[posted_++ & (queue_.size() - 1)] = std::move(completion);
}

void Completions::post(std::uint64_t user_data, OperationCode code, std::int32_t result) {
  post({user_data, result, code, Fd()});
}

void Completions::announce() {
  {
    const std::lock_guard lock(mutex_);
    if (event_.valid() && !event_set_ && size() != 0) {
      event_set_ = ::eventfd_write(event_.get(), 1) == 0;
    }
  }
  stir();
}

void Completions::stir() {
  changes_.fetch_add(1);
  if (waiting_.load() != 0) os::futex_wake_all(changes_);
}

unsigned Completions::take(std::span<Completion> completions) {
  unsigned count = 0;
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    while (count < completions.size() && size() != 0) {
      completions[count++] = std::move(queue_[taken_++ & (queue_.size() - 1)]);
    }
    if (size() == 0 && event_set_) {
      eventfd_t ignored = 0;
      ::eventfd_read(event_.get(), &ignored);
      event_set_ = false;
    }
    last = count != 0 && reserved_ == taken_;
  }
  if (last) stir();
  return count;
}

unsigned Completions::outstanding() const {
  const std::lock_guard lock(mutex_);
  return reserved_ - taken_;
}

bool Completions::holds(std::uint64_t user_data, OperationCode code) const {
  const std::lock_guard lock(mutex_);
  for (unsigned i = taken_; i != posted_; ++i) {
    const Completion& c = queue_[i & (queue_.size() - 1)];
    if (c.user_data == user_data && c.code == code) return true;
  }
  return false;
}

int Completions::pollable() {
  const std::lock_guard lock(mutex_);
  if (!event_.valid()) {
    event_ = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (event_.valid() && size() != 0) event_set_ = ::eventfd_write(event_.get(), 1) == 0;
  }
  return event_.get();
}

}  // namespace prewarm::cold
