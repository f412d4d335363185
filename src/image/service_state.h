// SPDX-License-Identifier: MIT
//
// What the loader service keeps; for service*.cc only.
#pragma once

#include "image/service.h"

namespace prewarm::image {

// A client's connection. It has one request at a time.
struct Service::Connection {
  Id id = 0;
  os::Fd socket;
  Refusal refused = Refusal::none;  // what every request gets
  Clock used = 0;
  Id waits_for = 0;  // a job
  bool polled = false;
};

// An image in memory.
struct Service::Entry {
  Id id = 0;
  HotImage image;
  Variant asked = Variant::any;  // what it was made as
  std::string stored_as;         // its name on the disk; empty: it is not there
  std::size_t references = 0;
  std::uint64_t served = 0;
  Clock used = 0;
  bool watched = false;
  bool unsure = false;  // a file may have changed since it was looked at
};

// Who wants the result of a job.
struct Service::Waiter {
  std::uint64_t connection = 0;
  os::Fd pidfd;
  bool waits_for_build = false;  // not only for what is on the disk
  std::uint32_t fewest_regions = 0;
};

// An image that is read from the disk, or made.
struct Service::Job {
  Id id = 0;
  MapTarget target;
  bool may_build = false;
  bool building = false;            // nothing of use was on the disk
  bool ordered = false;             // the spawner has the order
  std::vector<std::string> stored;  // what is still to be tried, the next one last
  std::string reading;
  Refusal refusal = Refusal::no_image;  // what was wrong with the last one
  std::unique_ptr<Helper> helper;
  std::vector<Waiter> waiters;
  bool is_store = false;  // only writes the image `entry` to the disk
  Id entry = 0;
  bool outdated = false;  // is of no use on the disk any more
};

}  // namespace prewarm::image
