// SPDX-License-Identifier: MIT
//
// Images that are read from the disk, made, or written to the disk, while requests are answered.
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>

#include <algorithm>

#include "image/image_shelf.h"
#include "image/service.h"
#include "image/service_state.h"

namespace prewarm::image {
namespace {

// Reading gigabytes from a slow disk; a helper that takes longer is given up.
constexpr std::int64_t kHelperNs = 120 * os::kNsPerSecond;

HelperResult load(os::Fd memfd, int opener) {
  HelperResult result;
  LoadedImage loaded;
  // What the sandbox doesn't let us open the spawner may.
  const auto open_file = [opener](const std::string& path) {
    os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    return file.valid() ? std::move(file) : SpawnerClient::open_file(opener, path);
  };
  result.refusal = load_image(std::move(memfd), open_file, loaded);
  if (result.refusal != Refusal::none) return result;
  result.descriptors.push_back(std::move(loaded.memfd));
  for (os::Fd& file : loaded.files) result.descriptors.push_back(std::move(file));
  return result;
}

// About the moment, or gone once looked at: the next try may do better.
bool is_worth_remembering(Refusal refusal) {
  return refusal != Refusal::too_busy && refusal != Refusal::stale;
}

}  // namespace

Service::Job* Service::find_job(const MapTarget& target) {
  for (const auto& [id, job] : jobs_) {
    if (!job->is_store && job->target == target) return job.get();
  }
  return nullptr;
}

// The request gets its answer when its job has one. `otherwise`: why there is no image now.
bool Service::wait_for_job(Connection& connection, const MapTarget& target, std::uint32_t flags,
                           Waiter waiter, Refusal otherwise) {
  const bool may_build = (flags & (kMapBuild | kMapWait)) != 0;
  const auto refuse = [&](Refusal refusal) { return answer_map(connection, refusal, nullptr, {}); };
  Job* job = find_job(target);
  if (job == nullptr) {
    std::vector<std::string> stored;
    if (options_.shelf != nullptr) stored = options_.shelf->find(target.path);
    // Those are for other limits.
    std::erase_if(stored, [this](const std::string& name) { return is_hot(name); });
    std::ranges::reverse(stored);
    if (stored.empty() && !may_build) return refuse(otherwise);
    if (stored.empty()) {
      if (const auto failed = failures_.why_not(target, now_)) return refuse(*failed);
    }
    if (jobs_.size() >= kMaxJobs) return refuse(Refusal::too_busy);
    auto made = std::make_unique<Job>();
    job = made.get();
    job->id = ++last_id_;
    job->target = target;
    job->stored = std::move(stored);
    job->refusal = otherwise;
    jobs_.emplace(job->id, std::move(made));
  }
  job->may_build |= may_build;
  if (job->building && (flags & kMapWait) == 0) return refuse(Refusal::being_built);
  job->waiters.push_back(std::move(waiter));
  connection.waits_for = job->id;
  advance_jobs();
  return true;
}

void Service::advance_jobs() {
  std::vector<Id> ids;
  for (const auto& [id, job] : jobs_) ids.push_back(id);
  for (const Id id : ids) {
    if (const auto found = jobs_.find(id); found != jobs_.end()) advance(*found->second);
  }
}

// The next step of a job that has none under way. It may be gone afterwards.
void Service::advance(Job& job) {
  if (job.helper != nullptr || job.ordered || job.is_store) return;
  if (!job.stored.empty()) return read_stored(job);
  if (!job.may_build) return end_job(job, job.refusal, nullptr);
  if (const auto failed = failures_.why_not(job.target, now_)) {
    return end_job(job, *failed, nullptr);
  }
  start_build(job);
}

void Service::start_helper(Job& job, const HelperWork& work, std::span<const int> keep) {
  auto helper = std::make_unique<Helper>(work, keep, now_ + kHelperNs);
  if (!helper->running() || !add_to_poll(helper->fd(), Kind::helper, job.id, EPOLLIN)) return;
  job.helper = std::move(helper);
}

void Service::read_stored(Job& job) {
  const auto running = std::ranges::count_if(
      jobs_, [](const auto& known) { return known.second->helper != nullptr; });
  if (static_cast<std::size_t>(running) >= kMaxHelpers) return;  // when one of them has ended
  job.reading = job.stored.back();
  job.stored.pop_back();
  ImageShelf* shelf = options_.shelf;
  const int opener = spawner_.opener();
  const auto work = [shelf, name = job.reading, opener] {
    auto memfd = shelf->get(name);
    if (!memfd) {
      // Others may have removed it.
      const bool is_gone = memfd.error().code == ENOENT;
      return HelperResult{is_gone ? Refusal::no_image : Refusal::damaged, {}, {}};
    }
    return load(std::move(*memfd), opener);
  };
  start_helper(job, work, {&opener, 1});
  if (job.helper == nullptr) end_job(job, Refusal::too_busy, nullptr);
}

void Service::start_build(Job& job) {
  if (!job.building) {
    job.building = true;
    // Others go the stock way meanwhile.
    for (const Waiter& waiter : job.waiters) {
      if (waiter.waits_for_build) continue;
      Connection& connection = *connections_.at(waiter.connection);
      connection.waits_for = 0;
      if (!answer_map(connection, Refusal::being_built, nullptr, {})) {
        close_soon_.push_back(waiter.connection);
      }
    }
    std::erase_if(job.waiters, [](const Waiter& waiter) { return !waiter.waits_for_build; });
  }
  const auto running =
      std::ranges::count_if(jobs_, [](const auto& known) { return known.second->ordered; });
  if (static_cast<std::size_t>(running) >= kMaxBuilders) return;
  job.ordered = spawner_.build(job.id, job.target);
  if (!job.ordered) return end_job(job, Refusal::too_busy, nullptr);
  ++counters_.builds;
}

void Service::take_built() {
  bool gone = false;
  while (auto built = spawner_.next(gone)) {
    const auto found = jobs_.find(built->id);
    if (found == jobs_.end() || !found->second->ordered) continue;
    Job& job = *found->second;
    job.ordered = false;
    if (built->refusal == Refusal::none) {
      check_built(job, std::move(built->memfd));
    } else {
      end_job(job, built->refusal, nullptr);
    }
  }
  // Without it nothing can be made or opened: a new service can.
  if (gone) stopping_ = true;
  advance_jobs();
}

void Service::check_built(Job& job, os::Fd memfd) {
  job.reading.clear();
  const int keep[] = {memfd.get(), spawner_.opener()};
  const auto work = [keep] { return load(os::Fd(keep[0]), keep[1]); };
  start_helper(job, work, keep);
  if (job.helper == nullptr) end_job(job, Refusal::too_busy, nullptr);
}

void Service::take_helper(Id id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end() || found->second->helper == nullptr) return;
  Job& job = *found->second;
  HelperResult result = job.helper->take();
  job.helper.reset();
  if (job.is_store) {
    const auto entry = entries_.find(job.entry);
    if (result.refusal != Refusal::none) {
      ++counters_.store_failures;
    } else if (entry != entries_.end()) {
      entry->second->stored_as = result.text;
    } else if (job.outdated) {
      options_.shelf->remove(result.text);
    }
    jobs_.erase(found);
  } else {
    take_image(job, std::move(result));
  }
  advance_jobs();
}

// What a helper has read or checked.
void Service::take_image(Job& job, HelperResult result) {
  const bool was_stored = !job.reading.empty();
  Refusal refusal = result.refusal;
  Entry* entry = nullptr;
  if (refusal == Refusal::none && !result.descriptors.empty()) {
    LoadedImage loaded;
    loaded.memfd = std::move(result.descriptors[0]);
    for (std::size_t i = 1; i < result.descriptors.size(); ++i) {
      loaded.files.push_back(std::move(result.descriptors[i]));
    }
    const Variant asked = was_stored ? Variant::any : job.target.variant;
    entry = adopt(std::move(loaded), asked, job.reading, refusal);
  }
  // Those are started by scripts only.
  if (entry != nullptr && !was_stored && !job.target.preload.empty() &&
      !pays(*entry, kFewestForLaunch)) {
    release(entry->id);
    return end_job(job, Refusal::not_worth_it, nullptr);
  }
  // Is it what was asked for? On the disk there are others, for other limits.
  Refusal why_not = Refusal::no_image;
  Entry* found = entry == nullptr ? nullptr : find(job.target, why_not);
  if (entry != nullptr && found == nullptr) {
    refusal = was_stored ? Refusal::no_image : Refusal::build_failed;
    if (!was_stored) release(entry->id);
  }
  if (found != nullptr) {
    const bool is_new = !was_stored;
    failures_.forget(job.target);
    const Id id = found->id;
    end_job(job, Refusal::none, found);
    if (is_new && entries_.contains(id)) store_image(*entries_.at(id));
    return;
  }
  if (!was_stored) return end_job(job, refusal, nullptr);
  if (refusal != Refusal::no_image) job.refusal = refusal;
  const bool is_useless =
      refusal == Refusal::stale || refusal == Refusal::damaged || refusal == Refusal::other_version;
  if (is_useless) options_.shelf->remove(job.reading);
  job.reading.clear();
}

// Everybody who waits gets the answer. The job is gone afterwards.
void Service::end_job(Job& job, Refusal refusal, Entry* entry) {
  if (job.building && refusal != Refusal::none && is_worth_remembering(refusal)) {
    failures_.add(job.target, refusal, now_);
  }
  for (Waiter& waiter : job.waiters) {
    Connection& connection = *connections_.at(waiter.connection);
    connection.waits_for = 0;
    const bool answered =
        entry != nullptr
            ? give_image(connection, *entry, waiter.fewest_regions, std::move(waiter.pidfd))
            : answer_map(connection, refusal, nullptr, std::move(waiter.pidfd));
    if (!answered) close_soon_.push_back(waiter.connection);
  }
  jobs_.erase(job.id);
}

void Service::store_image(Entry& entry) {
  if (options_.shelf == nullptr || jobs_.size() >= kMaxJobs) return;
  auto job = std::make_unique<Job>();
  job->id = ++last_id_;
  job->is_store = true;
  job->entry = entry.id;
  const int memfd = entry.image.descriptors()[0];
  ImageShelf* shelf = options_.shelf;
  const auto work = [memfd, shelf] {
    os::Fd image(memfd);
    auto name = shelf->put(image);
    if (!name) return HelperResult{Refusal::no_memory, {}, {}};
    return HelperResult{Refusal::none, *name, {}};
  };
  start_helper(*job, work, {&memfd, 1});
  if (job->helper == nullptr) {
    ++counters_.store_failures;
    return;
  }
  jobs_.emplace(job->id, std::move(job));
}

void Service::end_late_helpers() {
  std::vector<Id> late;
  for (const auto& [id, job] : jobs_) {
    if (job->helper != nullptr && now_ >= job->helper->deadline_ns()) late.push_back(id);
  }
  for (const Id id : late) take_helper(id);
}

void Service::close_doomed() {
  for (const Id id : std::exchange(close_soon_, {})) close_connection(id);
}

}  // namespace prewarm::image
