// SPDX-License-Identifier: MIT
//
// Map requests.
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>

#include "image/service.h"
#include "image/service_state.h"

namespace prewarm::image {
namespace {

// waitid(2) of a pidfd of somebody else's process says that it is no child; that of another kind of
// descriptor, that it is none.
bool is_pidfd(const os::Fd& fd) {
  siginfo_t info{};
  return ::waitid(P_PIDFD, static_cast<id_t>(fd.get()), &info, WEXITED | WNOHANG | WNOWAIT) == 0 ||
         errno == ECHILD;
}

Variant variant_of(std::uint32_t flags) {
  if ((flags & kMapPack) != 0) return Variant::packed;
  return (flags & kMapDoNotPack) != 0 ? Variant::plain : Variant::any;
}

Refusal refusal_of(const struct stat& program) {
  if (!S_ISREG(program.st_mode)) return Refusal::not_found;
  return (program.st_mode & (S_ISUID | S_ISGID)) != 0 ? Refusal::privileged : Refusal::none;
}

}  // namespace

bool Service::take_packet(Connection& connection, Packet packet) {
  std::uint32_t magic = 0;
  std::string_view bytes = packet.bytes;
  if (!take_head(bytes, magic)) return false;
  if (magic == kMapMagic) return take_map(connection, std::move(packet));
  if (magic == kControlMagic) return take_control(connection, packet.bytes);
  return false;
}

bool Service::take_map(Connection& connection, Packet packet) {
  struct Beginning {
    std::uint32_t magic, version;
  } beginning{};
  std::string_view bytes = packet.bytes;
  if (!take_head(bytes, beginning)) return false;
  if (connection.refused != Refusal::none)
    return answer_map(connection, connection.refused, nullptr, {});
  if (beginning.version != kMapVersion) {
    return answer_map(connection, Refusal::other_version, nullptr, {});
  }
  MapRequest request;
  bytes = packet.bytes;
  if (!take_head(bytes, request) || request.path_bytes > bytes.size() ||
      request.preload_bytes != bytes.size() - request.path_bytes) {
    return false;
  }
  const std::string_view path = bytes.substr(0, request.path_bytes);
  const std::string_view preload = bytes.substr(request.path_bytes);
  if (!is_path(path) || (!preload.empty() && !is_path(preload)) || packet.descriptors.size() != 2 ||
      !is_pidfd(packet.descriptors[1])) {
    return false;
  }
  const auto refuse = [&](Refusal refusal) { return answer_map(connection, refusal, nullptr, {}); };
  if (request.root_mount != root_mount_ || request.root_inode != root_inode_) {
    return refuse(Refusal::other_root);
  }
  struct stat s;
  if (::fstat(packet.descriptors[0].get(), &s) != 0) return false;
  if (const Refusal refusal = refusal_of(s); refusal != Refusal::none) return refuse(refusal);
  const MapTarget target{os::FileIdentity::of(s), request.stack_limit, variant_of(request.flags),
                         std::string(path), std::string(preload)};
  return map(connection, target, request.flags, request.fewest_regions,
             std::move(packet.descriptors[1]));
}

bool Service::map(Connection& connection, const MapTarget& target, std::uint32_t flags,
                  std::uint32_t fewest_regions, os::Fd pidfd) {
  // What has changed before this request was made is in the queue.
  look_at_changes();
  Refusal why_not = Refusal::no_image;
  if (Entry* entry = find(target, why_not)) {
    return give_image(connection, *entry, fewest_regions, std::move(pidfd));
  }
  return wait_for_job(connection, target, flags,
                      {connection.id, std::move(pidfd), (flags & kMapWait) != 0, fewest_regions},
                      why_not);
}

bool Service::pays(const Entry& entry, std::uint32_t fewest_regions) const {
  return entry.image.header().regions.count >= std::min(fewest_regions, options_.enough_regions);
}

bool Service::give_image(Connection& connection, Entry& entry, std::uint32_t fewest_regions,
                         os::Fd pidfd) {
  if (!pays(entry, fewest_regions)) {
    entry.used = now_;
    return answer_map(connection, Refusal::not_worth_it, nullptr, {});
  }
  return answer_map(connection, Refusal::none, &entry, std::move(pidfd));
}

// `entry`: null if refused. Else the process holds it from now on.
bool Service::answer_map(Connection& connection, Refusal refusal, Entry* entry, os::Fd pidfd) {
  if (entry != nullptr && !has_descriptors(1)) {
    refusal = Refusal::too_busy;
    entry = nullptr;
  }
  MapAnswer answer;
  answer.refusal = static_cast<std::uint32_t>(refusal);
  std::span<const int> descriptors;
  if (entry != nullptr) {
    descriptors = entry->image.descriptors();
    answer.descriptors = static_cast<std::uint32_t>(descriptors.size());
    answer.entry = entry->image.header().start;
    answer.context = entry->image.context_bytes();
    answer.image_bytes = entry->image.header().total_bytes;
  }
  // Who doesn't read its answers isn't waited for.
  if (send_packet(connection.socket.get(), as_bytes(answer), descriptors, MSG_DONTWAIT) != 0) {
    return false;
  }
  if (entry != nullptr) {
    hold(*entry, std::move(pidfd));
    entry->used = now_;
    ++entry->served;
    ++counters_.served;
  } else {
    ++counters_.refusals[refusal];
  }
  return true;
}

// Until the process has ended. That comes after the answer, for which somebody waits. If it can't
// be had, the image may be released while it is used; the process has mappings of its own.
void Service::hold(Entry& entry, os::Fd pidfd) {
  const Id reference = ++last_id_;
  if (!add_to_poll(pidfd.get(), Kind::reference, reference, EPOLLIN)) return;
  references_.emplace(reference, Reference{std::move(pidfd), entry.id});
  ++entry.references;
}

}  // namespace prewarm::image
