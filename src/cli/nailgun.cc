// SPDX-License-Identifier: MIT
//
// `prewarm nailgun`: one process listens, one serves each client.
#include "cli/nailgun.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <expected>
#include <set>

#include "cli/commands.h"
#include "cli/locate.h"
#include "coproc/declarations.h"
#include "coproc/message.h"
#include "coproc/nailgun_peer.h"
#include "coproc/nailgun_session.h"
#include "os/fd.h"
#include "os/signal_queue.h"
#include "os/unix_address.h"

namespace prewarm::cli {
namespace {

constexpr std::size_t kMostClients = 256;
constexpr int kBacklog = 128;
constexpr std::string_view kLocal = "local:";

// Where it listens, for people and for clients.
struct Listener {
  os::Fd socket;
  std::string address;
  std::string path;  // of a socket in the file system
};

using Listening = std::expected<Listener, std::string>;

std::unexpected<std::string> cannot(const std::string& address, const std::string& why) {
  return std::unexpected("can't listen at " + address + ": " + why);
}

// Others can't enter the directory, so nobody can replace the socket.
bool is_private(const std::string& directory) {
  struct stat s;
  return ::stat(directory.c_str(), &s) == 0 && S_ISDIR(s.st_mode) && s.st_uid == ::geteuid() &&
         (s.st_mode & 077) == 0;
}

Listening listen_local(const std::string& path) {
  const std::string address = std::string(kLocal) + path;
  const auto slash = path.rfind('/');
  const std::string directory = slash == path.npos ? "." : path.substr(0, slash + 1);
  if (!is_private(directory)) {
    return cannot(address, "its directory must be this user's, with mode 0700");
  }
  const auto name = os::UnixAddress::of(path);
  if (path.empty() || !name) return cannot(address, "no good path");
  os::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return cannot(address, std::strerror(errno));
  if (::connect(socket.get(), name->get(), name->size()) == 0) {
    return cannot(address, "somebody does");
  }
  // Left by one that was killed.
  if (errno == ECONNREFUSED) ::unlink(path.c_str());
  socket.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid() || ::bind(socket.get(), name->get(), name->size()) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(socket.get(), kBacklog) != 0) {
    return cannot(address, std::strerror(errno));
  }
  return Listener{std::move(socket), address, path};
}

bool is_loopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr) >> 24 == 127;
  }
  return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

// Only numbers, and localhost: a name that is looked up may mean another machine tomorrow.
bool read_address(std::string host, unsigned port, sockaddr_storage& address) {
  if (host == "localhost") host = "127.0.0.1";
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<in_port_t>(port));
    return true;
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) != 1) return false;
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(static_cast<in_port_t>(port));
  return true;
}

Listening listen_tcp(const std::string& text) {
  const auto colon = text.rfind(':');
  const std::string host = colon == text.npos ? "127.0.0.1" : text.substr(0, colon);
  const auto port =
      coproc::parse_number(colon == text.npos ? text : text.substr(colon + 1), USHRT_MAX);
  sockaddr_storage address{};
  if (!port || !read_address(host, static_cast<unsigned>(*port), address)) {
    return cannot(text, "that is neither PORT nor ADDRESS:PORT nor local:PATH");
  }
  // Whoever can connect can run programs as this user.
  if (!is_loopback(address)) return cannot(text, "others than this machine could connect");
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = address.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  os::Fd socket(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return cannot(text, std::strerror(errno));
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(socket.get(), generic, size) != 0 || ::listen(socket.get(), kBacklog) != 0 ||
      ::getsockname(socket.get(), generic, &size) != 0) {
    return cannot(text, std::strerror(errno));
  }
  const in_port_t given = address.ss_family == AF_INET
                              ? reinterpret_cast<const sockaddr_in&>(address).sin_port
                              : reinterpret_cast<const sockaddr_in6&>(address).sin6_port;
  return Listener{std::move(socket), host + ":" + std::to_string(ntohs(given)), {}};
}

class NailgunServer {
 public:
  NailgunServer(Listener listener, const NailgunListenOptions& options)
      : listener_(std::move(listener)), options_(options) {}
  int run();

 private:
  bool read_signals();
  void reap(bool wait);
  void accept();
  [[noreturn]] void serve(os::Fd client);

  Listener listener_;
  const NailgunListenOptions& options_;
  coproc::NailgunOptions session_;
  os::SignalQueue signals_{os::signal_set({SIGTERM, SIGINT, SIGHUP, SIGCHLD})};
  std::set<pid_t> clients_;
};

int NailgunServer::run() {
  session_.prewarm = find_command();
  session_.declarations = coproc::declarations_path();
  char real[PATH_MAX];
  // Sessions change their directory.
  if (::realpath(session_.declarations.c_str(), real) != nullptr) session_.declarations = real;
  std::printf("listening at %s\n", listener_.address.c_str());
  std::fflush(stdout);
  for (;;) {
    const bool is_full = clients_.size() >= kMostClients;
    pollfd polled[] = {{signals_.fd(), POLLIN, 0},
                       {is_full ? -1 : listener_.socket.get(), POLLIN, 0}};
    const bool may_end = clients_.empty() && options_.idle_seconds > 0;
    const int timeout = may_end ? static_cast<int>(options_.idle_seconds) * 1000 : -1;
    const int ready = ::poll(polled, 2, timeout);
    if (ready == 0) break;
    if (ready < 0 && errno != EINTR) break;
    if (polled[0].revents != 0 && !read_signals()) break;
    if (polled[1].revents != 0) accept();
  }
  // Nobody connects any more; what runs is ended by those who serve it.
  listener_.socket.reset();
  if (!listener_.path.empty()) ::unlink(listener_.path.c_str());
  for (const pid_t pid : clients_) ::kill(pid, SIGTERM);
  reap(true);
  return 0;
}

// False: it is to end.
bool NailgunServer::read_signals() {
  bool goes_on = true;
  while (const auto info = signals_.next()) goes_on = goes_on && info->ssi_signo == SIGCHLD;
  reap(false);
  return goes_on;
}

void NailgunServer::reap(bool wait) {
  while (!clients_.empty()) {
    const pid_t pid = ::waitpid(-1, nullptr, wait ? 0 : WNOHANG);
    if (pid <= 0 && errno != EINTR) return;
    clients_.erase(pid);
  }
}

void NailgunServer::accept() {
  os::Fd client(::accept4(listener_.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!client.valid()) return;
  // Chunks are small, and each is waited for. Fails for a socket in the file system, which needs
  // none.
  const int on = 1;
  ::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) serve(std::move(client));
  if (pid > 0) clients_.insert(pid);
  if (pid < 0) complain(std::string("nailgun: no process for a client: ") + std::strerror(errno));
}

void NailgunServer::serve(os::Fd client) {
  listener_.socket.reset();
  signals_.restore();
  const auto user = coproc::user_of_peer(client.get());
  if (user == ::geteuid()) {
    coproc::serve_nailgun_client(std::move(client), session_);
  } else {
    complain("nailgun: refused a client of " +
             (user ? "user " + std::to_string(*user) : std::string("an unknown user")));
  }
  std::fflush(nullptr);
  std::_Exit(0);
}

}  // namespace

int nailgun(const NailgunListenOptions& options) {
  const bool is_local = options.address.starts_with(kLocal);
  auto listener =
      is_local ? listen_local(options.address.substr(kLocal.size())) : listen_tcp(options.address);
  if (!listener) {
    complain("nailgun: " + listener.error());
    return 1;
  }
  return NailgunServer(std::move(*listener), options).run();
}

}  // namespace prewarm::cli
