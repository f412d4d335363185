// SPDX-License-Identifier: MIT
#include "coproc/nailgun_peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <span>
#include <string>

#include "coproc/message.h"
#include "os/fd.h"

namespace prewarm::coproc {
namespace {

constexpr std::string_view kEstablished = "01";  // TCP_ESTABLISHED

std::string_view next_word(std::string_view& line) {
  const auto start = line.find_first_not_of(' ');
  if (start == line.npos) return {};
  const auto end = std::min(line.find(' ', start), line.size());
  const auto word = line.substr(start, end - start);
  line.remove_prefix(end);
  return word;
}

// As the table has it: 32-bit words in the machine's order, and the port.
std::string in_table(const sockaddr_storage& address) {
  std::span<const unsigned char> bytes;
  in_port_t port = 0;
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    bytes = {reinterpret_cast<const unsigned char*>(&v4.sin_addr), 4};
    port = v4.sin_port;
  } else {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    bytes = {v6.sin6_addr.s6_addr, 16};
    port = v6.sin6_port;
  }
  std::string text;
  char part[16];
  for (std::size_t i = 0; i < bytes.size(); i += 4) {
    std::uint32_t word;
    std::memcpy(&word, &bytes[i], sizeof word);
    std::snprintf(part, sizeof part, "%08X", word);
    text += part;
  }
  std::snprintf(part, sizeof part, ":%04X", static_cast<unsigned>(ntohs(port)));
  return text + part;
}

std::string read_all(const char* path) {
  const os::Fd fd(::open(path, O_RDONLY | O_CLOEXEC));
  std::string text;
  char part[65536];
  while (fd.valid()) {
    const ssize_t n = ::read(fd.get(), part, sizeof part);
    if (n <= 0) break;
    text.append(part, static_cast<std::size_t>(n));
  }
  return text;
}

}  // namespace

std::optional<uid_t> user_in_table(std::string_view table, std::string_view local,
                                   std::string_view remote) {
  while (!table.empty()) {
    const auto end = std::min(table.find('\n'), table.size());
    std::string_view line = table.substr(0, end);
    table.remove_prefix(std::min(end + 1, table.size()));
    next_word(line);  // number
    if (next_word(line) != local || next_word(line) != remote) continue;
    if (next_word(line) != kEstablished) continue;
    for (int i = 0; i < 3; ++i) next_word(line);  // queues, timer, retransmits
    const auto user = parse_number(next_word(line), std::numeric_limits<uid_t>::max());
    return user ? std::optional(static_cast<uid_t>(*user)) : std::nullopt;
  }
  return {};
}

std::optional<uid_t> user_of_peer(int socket) {
  sockaddr_storage ours{};
  sockaddr_storage theirs{};
  socklen_t size = sizeof ours;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&ours), &size) != 0) return {};
  if (ours.ss_family == AF_UNIX) {
    ucred peer{};
    size = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return {};
    return peer.uid;
  }
  size = sizeof theirs;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&theirs), &size) != 0) return {};
  const bool is_v4 = ours.ss_family == AF_INET;
  if (!is_v4 && ours.ss_family != AF_INET6) return {};
  return user_in_table(read_all(is_v4 ? "/proc/net/tcp" : "/proc/net/tcp6"), in_table(theirs),
                       in_table(ours));
}

}  // namespace prewarm::coproc
