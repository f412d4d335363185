// SPDX-License-Identifier: MIT
//
// The loader service: keeps images in memory, and gives them to who starts programs.
//
// One thread and one loop. Nothing in it waits but epoll_wait(2): what may take long is done by
// helpers (service_helper.h) and builders (spawner.h).
//
//   request -> image that is hot and current            -> answer
//           -> image on the disk -> Job: helper reads it  -> answer
//           -> none              -> Job: builder, helper  -> "being built", or answer (kMapWait)
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "image/file_watch.h"
#include "image/hot_image.h"
#include "image/packet.h"
#include "image/sandbox.h"
#include "image/service_failures.h"
#include "image/service_helper.h"
#include "image/service_options.h"
#include "image/service_socket.h"
#include "image/spawner.h"
#include "image/wire.h"
#include "os/fd.h"
#include "os/result.h"

namespace prewarm::image {

class Service {
 public:
  static constexpr std::size_t kMaxConnections = 512;
  static constexpr std::size_t kMaxJobs = 64;
  static constexpr std::size_t kMaxHelpers = 4;
  static constexpr std::size_t kMaxImages = 4096;
  // What images and references may not use up.
  static constexpr std::size_t kSpareDescriptors = kMaxConnections + 128;

  Service(ServiceSocket& socket, ServiceOptions options, SpawnerClient spawner);
  ~Service();

  // Before the sandbox: opens what can't be opened inside.
  os::Result<void> prepare();
  void say_sandbox(SandboxReport report) { sandbox_ = std::move(report); }
  // An image that is hot from the beginning, as a file.
  Refusal take_image_file(const std::string& path);

  // Serves until a signal (SIGTERM, SIGINT, SIGHUP) or a `stop` request ends it, or it has had
  // nothing to keep for some time.
  os::Result<void> run();

 private:
  using Id = std::uint64_t;
  using Clock = std::int64_t;  // ns, CLOCK_MONOTONIC
  struct Connection;
  struct Entry;
  struct Job;
  struct Waiter;
  // What an epoll event is about; the object's id is in the lower bits.
  enum class Kind : std::uint8_t {
    listener,
    signals,
    files,
    pressure,
    spawner,
    connection,
    reference,
    helper,
  };

  // service.cc: the loop, connections, references.
  bool add_to_poll(int fd, Kind kind, Id id, std::uint32_t events);
  int poll_timeout() const;
  void dispatch(Kind kind, Id id);
  void accept_connections();
  bool make_room_for_connection();
  void serve_connection(Id id);
  void close_connection(Id id);
  void drop_reference(Id id);
  bool has_descriptors(std::size_t more) const;
  bool is_done();

  // service_requests.cc: what is asked, and the answer. False: the connection is to be closed.
  bool take_packet(Connection& connection, Packet packet);
  bool take_map(Connection& connection, Packet packet);
  bool map(Connection& connection, const MapTarget& target, std::uint32_t flags,
           std::uint32_t fewest_regions, os::Fd pidfd);
  bool pays(const Entry& entry, std::uint32_t fewest_regions) const;
  bool give_image(Connection& connection, Entry& entry, std::uint32_t fewest_regions, os::Fd pidfd);
  bool answer_map(Connection& connection, Refusal refusal, Entry* entry, os::Fd pidfd);
  void hold(Entry& entry, os::Fd pidfd);

  // service_control.cc: what people ask.
  bool take_control(Connection& connection, std::string_view bytes);
  bool answer_control(Connection& connection, std::uint64_t count, const std::string& text);
  std::string describe() const;
  std::uint64_t forget_program(const std::string& path);

  // service_images.cc: images in memory.
  void look_at_changes();
  Entry* find(const MapTarget& target, Refusal& why_not);
  bool is_current(Entry& entry);
  Entry* find_same(const HotImage& image);
  bool is_hot(const std::string& stored) const;
  Entry* adopt(LoadedImage loaded, Variant asked, const std::string& stored_as, Refusal& why_not);
  void release(Id id);
  // Also from the disk.
  void forget(Id id);
  bool make_room(std::uint64_t bytes);
  void release_old();
  std::uint64_t release_unused();

  // service_jobs.cc: images that are read or made.
  Job* find_job(const MapTarget& target);
  bool wait_for_job(Connection& connection, const MapTarget& target, std::uint32_t flags,
                    Waiter waiter, Refusal otherwise);
  void advance_jobs();
  void advance(Job& job);
  void start_helper(Job& job, const HelperWork& work, std::span<const int> keep);
  void read_stored(Job& job);
  void start_build(Job& job);
  void check_built(Job& job, os::Fd memfd);
  void take_built();
  void take_helper(Id id);
  void take_image(Job& job, HelperResult result);
  void end_job(Job& job, Refusal refusal, Entry* entry);
  void store_image(Entry& entry);
  void end_late_helpers();
  void close_doomed();

  ServiceSocket& socket_;
  ServiceOptions options_;
  SpawnerClient spawner_;
  SandboxReport sandbox_;
  os::Fd epoll_;
  os::Fd signals_;
  os::Fd pressure_;
  std::optional<FileWatch> watch_;
  std::uint64_t root_mount_ = 0, root_inode_ = 0;
  std::size_t max_descriptors_ = 0;    // RLIMIT_NOFILE
  std::size_t image_descriptors_ = 0;  // of all entries
  std::uint64_t hot_bytes_ = 0;
  Id last_id_ = 0;
  std::map<Id, std::unique_ptr<Connection>> connections_;
  std::map<Id, std::unique_ptr<Entry>> entries_;
  std::multimap<std::pair<std::uint64_t, std::uint64_t>, Id> by_program_;  // device, inode
  struct Reference {
    os::Fd pidfd;
    Id entry;
  };
  std::map<Id, Reference> references_;
  std::map<Id, std::unique_ptr<Job>> jobs_;
  std::vector<Id> close_soon_;  // connections that are of no use, while others refer to them
  Failures failures_;
  Clock now_ = 0;
  Clock quiet_since_ = 0;
  bool stopping_ = false;
  struct Counters {
    std::uint64_t served = 0, builds = 0, stale = 0, store_failures = 0;
    std::map<Refusal, std::uint64_t> refusals;
  } counters_;
};

}  // namespace prewarm::image
