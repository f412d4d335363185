// SPDX-License-Identifier: MIT
//
// The images in the service's memory.
#include <fcntl.h>

#include <algorithm>

#include "image/image_file.h"
#include "image/image_shelf.h"
#include "image/service.h"
#include "image/service_state.h"

namespace prewarm::image {
namespace {

bool suits(Variant asked, Variant made_as, std::uint32_t packed) {
  switch (asked) {
    case Variant::packed:
      return made_as == Variant::packed || packed > 0;
    case Variant::plain:
      return packed == 0;
    case Variant::any:
      break;
  }
  return true;
}

}  // namespace

void Service::look_at_changes() {
  std::set<Id> touched;
  watch_->drain(touched);
  for (const Id id : touched) {
    if (const auto found = entries_.find(id); found != entries_.end()) found->second->unsure = true;
  }
}

Service::Entry* Service::find(const MapTarget& target, Refusal& why_not) {
  const auto range = by_program_.equal_range({target.program.device, target.program.inode});
  std::vector<Id> stale;
  Entry* result = nullptr;
  for (auto at = range.first; at != range.second && result == nullptr; ++at) {
    Entry& entry = *entries_.at(at->second);
    if (identity_of(entry.image.program_file()) != target.program) {
      stale.push_back(entry.id);  // the program itself was written to
    } else if (entry.image.header().conditions.stack_limit == target.stack_limit &&
               entry.image.preloaded() == target.preload &&
               suits(target.variant, entry.asked, entry.image.header().packed)) {
      if (is_current(entry)) {
        result = &entry;
      } else {
        stale.push_back(entry.id);
      }
    }
  }
  for (const Id id : stale) {
    why_not = Refusal::stale;
    ++counters_.stale;
    forget(id);
  }
  return result;
}

bool Service::is_current(Entry& entry) {
  if (entry.watched && !entry.unsure) return true;
  if (entry.unsure) {
    // Names may lead elsewhere than they did.
    watch_->forget(entry.id);
    entry.watched = watch_->watch(entry.id, entry.image.paths());
    entry.unsure = false;
  }
  // After the watches are there: what changes now is in the queue.
  return entry.image.is_current();
}

// One that was read again, while it was on its way to the disk.
Service::Entry* Service::find_same(const HotImage& image) {
  const ImageFile& program = image.program_file();
  const auto range = by_program_.equal_range({program.device, program.inode});
  for (auto at = range.first; at != range.second; ++at) {
    Entry& entry = *entries_.at(at->second);
    if (std::ranges::equal(entry.image.header().key, image.header().key)) return &entry;
  }
  return nullptr;
}

bool Service::is_hot(const std::string& stored) const {
  return std::ranges::any_of(
      entries_, [&stored](const auto& known) { return known.second->stored_as == stored; });
}

Service::Entry* Service::adopt(LoadedImage loaded, Variant asked, const std::string& stored_as,
                               Refusal& why_not) {
  why_not = Refusal::too_busy;
  const std::size_t descriptors = 1 + loaded.files.size();
  if (entries_.size() >= kMaxImages || !has_descriptors(descriptors)) return nullptr;
  auto image = HotImage::adopt(std::move(loaded));
  if (!image) {
    why_not = Refusal::no_memory;
    return nullptr;
  }
  if (image->memory_bytes() > options_.hot_bytes) {
    why_not = Refusal::too_large;
    return nullptr;
  }
  if (Entry* same = find_same(*image)) {
    if (same->stored_as.empty()) same->stored_as = stored_as;
    why_not = Refusal::none;
    return same;
  }
  if (!make_room(image->memory_bytes())) return nullptr;
  const Id id = ++last_id_;
  const bool watched = watch_->watch(id, image->paths());
  if (!image->is_current()) {
    watch_->forget(id);
    why_not = Refusal::stale;
    return nullptr;
  }
  auto entry = std::make_unique<Entry>(Entry{
      .id = id,
      .image = std::move(*image),
      .asked = asked,
      .stored_as = stored_as,
      .used = now_,
      .watched = watched,
  });
  const ImageFile& program = entry->image.program_file();
  by_program_.emplace(std::pair(program.device, program.inode), id);
  hot_bytes_ += entry->image.memory_bytes();
  image_descriptors_ += entry->image.descriptors().size();
  why_not = Refusal::none;
  return entries_.emplace(id, std::move(entry)).first->second.get();
}

// Processes that use it keep their own descriptors and mappings.
void Service::release(Id id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  const Entry& entry = *found->second;
  watch_->forget(id);
  std::erase_if(by_program_, [id](const auto& known) { return known.second == id; });
  hot_bytes_ -= entry.image.memory_bytes();
  image_descriptors_ -= entry.image.descriptors().size();
  entries_.erase(found);
}

void Service::forget(Id id) {
  const std::string& name = entries_.at(id)->stored_as;
  if (!name.empty()) options_.shelf->remove(name);
  for (const auto& [number, job] : jobs_) {
    if (job->is_store && job->entry == id) job->outdated = true;
  }
  release(id);
}

// Images that nobody holds go, that which was not used for longest first. False: the others leave
// no room.
bool Service::make_room(std::uint64_t bytes) {
  while (hot_bytes_ + bytes > options_.hot_bytes) {
    const Entry* oldest = nullptr;
    for (const auto& [id, entry] : entries_) {
      if (entry->references > 0) continue;
      if (oldest == nullptr || entry->used < oldest->used) oldest = entry.get();
    }
    if (oldest == nullptr) return false;
    release(oldest->id);
  }
  return true;
}

void Service::release_old() {
  const Clock before = now_ - options_.unused_seconds * os::kNsPerSecond;
  std::vector<Id> old;
  for (const auto& [id, entry] : entries_) {
    if (entry->references == 0 && entry->used <= before) old.push_back(id);
  }
  for (const Id id : old) release(id);
}

std::uint64_t Service::release_unused() {
  std::vector<Id> unused;
  for (const auto& [id, entry] : entries_) {
    if (entry->references == 0) unused.push_back(id);
  }
  for (const Id id : unused) release(id);
  return unused.size();
}

Refusal Service::take_image_file(const std::string& path) {
  os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return Refusal::not_found;
  const auto mapping = Mapping::of(file);
  if (!mapping) return Refusal::damaged;
  auto memfd = sealed_memfd("prewarm-image", mapping->bytes());
  if (!memfd) return Refusal::no_memory;
  LoadedImage loaded;
  const auto open_file = [](const std::string& name) {
    return os::Fd(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  };
  Refusal refusal = load_image(std::move(*memfd), open_file, loaded);
  if (refusal == Refusal::none) adopt(std::move(loaded), Variant::any, {}, refusal);
  return refusal;
}

}  // namespace prewarm::image
