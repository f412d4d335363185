// SPDX-License-Identifier: MIT
#include "image/join.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <utility>

#include "os/fd.h"

namespace prewarm::image {
namespace {

using os::Result;

constexpr std::uint64_t kNotLong = 1 << 19;

bool are_headers_of(const CapturedRegion& headers, const CapturedRegion& code) {
  return headers.protection == PROT_READ && code.protection == (PROT_READ | PROT_EXEC) &&
         !headers.file.empty() && headers.file == code.file &&
         headers.file_offset + headers.size == code.file_offset;
}

bool may_be_in_image(const CapturedRegion& region) {
  return region.size <= kNotLong || (region.file.empty() && !region.bytes.empty());
}

bool may_be_one_in_image(const CapturedRegion& before, const CapturedRegion& region) {
  const bool both_files = !before.file.empty() && !region.file.empty();
  return before.protection == region.protection && (region.protection & PROT_EXEC) == 0 &&
         !both_files && may_be_in_image(before) && may_be_in_image(region);
}

Result<void> join_in_image(CapturedRegion& before, CapturedRegion& region) {
  for (auto* one : {&before, &region}) {
    if (one->file.empty()) continue;
    if (auto done = take_in(*one); !done) return done;
  }
  before.bytes.resize(before.size);
  before.bytes.insert(before.bytes.end(), region.bytes.begin(), region.bytes.end());
  before.bytes.resize(before.size + region.size);
  return {};
}

}  // namespace

Result<void> take_in(CapturedRegion& region) {
  const os::Fd file(::open(region.file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return os::failed("open", region.file);
  region.bytes.assign(region.size, 0);
  if (::pread(file.get(), region.bytes.data(), region.size,
              static_cast<off_t>(region.file_offset)) < 0) {
    return os::failed("read", region.file);
  }
  region.file.clear();
  return {};
}

Result<void> join_regions(std::vector<CapturedRegion>& regions) {
  std::vector<CapturedRegion> joined;
  for (auto& region : regions) {
    auto* before = joined.empty() ? nullptr : &joined.back();
    const bool touch = before != nullptr && before->address + before->size == region.address;
    if (touch && are_headers_of(*before, region)) {
      before->protection = region.protection;
    } else if (touch && may_be_one_in_image(*before, region)) {
      if (auto done = join_in_image(*before, region); !done) return done;
    } else {
      joined.push_back(std::move(region));
      continue;
    }
    before->size += region.size;
  }
  regions = std::move(joined);
  return {};
}

}  // namespace prewarm::image
