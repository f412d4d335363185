// SPDX-License-Identifier: MIT
#include "image/map_client.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

#include "image/plain_text.h"
#include "os/raw_syscall.h"

namespace prewarm::image {
namespace {

using os::arg;
using os::raw_syscall;

constexpr unsigned kMaxDescriptors = kMaxMappedFiles + 1;

void close_fd(int fd) { raw_syscall(SYS_close, fd); }

// The value of a variable that is an absolute path, or null.
const char* path_variable(const char* const* environment, const char* name) {
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const char* at = *environment;
    const char* want = name;
    while (*want != '\0' && *at == *want) {
      ++at;
      ++want;
    }
    if (*want == '\0' && *at == '=') return at[1] == '/' ? at + 1 : nullptr;
  }
  return nullptr;
}

bool is_own_directory(const char* path, unsigned long user) {
  struct statx s;
  s.stx_uid = 0;
  return raw_syscall(SYS_statx, AT_FDCWD, arg(path), 0, STATX_UID, arg(&s)) == 0 &&
         s.stx_uid == user;
}

// The whole of a received message's descriptors, be they wanted or not.
struct Received {
  long bytes = 0;
  bool descriptors_lost = false;
  unsigned count = 0;
  int fds[kMaxDescriptors];
};

union ControlBuffer {
  cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int) * kMaxDescriptors)];
};

int read_int(const unsigned char* at) {
  int value = 0;
  auto* to = reinterpret_cast<unsigned char*>(&value);
  for (unsigned i = 0; i < sizeof value; ++i) to[i] = at[i];
  return value;
}

bool connect_to(int socket, const char* path) {
  sockaddr_un address;
  address.sun_family = AF_UNIX;
  const unsigned length = length_of(path);
  if (length >= sizeof address.sun_path) return false;
  for (unsigned i = 0; i <= length; ++i) address.sun_path[i] = path[i];
  // Not blocking: a queue of connections that is full is a service that doesn't serve.
  if (raw_syscall(SYS_connect, socket, arg(&address), sizeof address) != 0) return false;
  // What it gives will be mapped and run: it must be this user's.
  ucred peer;
  socklen_t size = sizeof peer;
  return raw_syscall(SYS_getsockopt, socket, SOL_SOCKET, SO_PEERCRED, arg(&peer), arg(&size)) ==
             0 &&
         static_cast<long>(peer.uid) == raw_syscall(SYS_geteuid);
}

bool send_request(int socket, const MapCall& call) {
  MapRequest request;
  request.stack_limit = call.stack_limit;
  request.flags = call.flags;
  request.path_bytes = length_of(call.path);
  request.preload_bytes = length_of(call.preload);
  request.fewest_regions = call.fewest_regions;
  if (request.path_bytes > kMaxPathBytes || request.preload_bytes > kMaxPathBytes) return false;
  struct statx root;
  if (raw_syscall(SYS_statx, AT_FDCWD, arg("/"), 0, STATX_INO | STATX_MNT_ID, arg(&root)) != 0 ||
      (root.stx_mask & STATX_MNT_ID) == 0) {
    return false;
  }
  request.root_mount = root.stx_mnt_id;
  request.root_inode = root.stx_ino;

  iovec parts[3];
  parts[0] = {&request, sizeof request};
  parts[1] = {const_cast<char*>(call.path), request.path_bytes};
  parts[2] = {const_cast<char*>(call.preload), request.preload_bytes};
  union {
    cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * 2)];
  } control;
  control.header.cmsg_len = CMSG_LEN(sizeof(int) * 2);
  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = SCM_RIGHTS;
  int* fds = reinterpret_cast<int*>(CMSG_DATA(&control.header));
  fds[0] = call.exec_fd;
  fds[1] = call.pidfd;
  msghdr message;
  message.msg_name = nullptr;
  message.msg_namelen = 0;
  message.msg_iov = parts;
  message.msg_iovlen = 3;
  message.msg_control = control.bytes;
  message.msg_controllen = CMSG_SPACE(sizeof(int) * 2);
  message.msg_flags = 0;
  return raw_syscall(SYS_sendmsg, socket, arg(&message), MSG_NOSIGNAL | MSG_DONTWAIT) ==
         static_cast<long>(sizeof request + request.path_bytes + request.preload_bytes);
}

bool wait_for_answer(int socket, unsigned timeout_ms) {
  pollfd polled;
  polled.fd = socket;
  polled.events = POLLIN;
  polled.revents = 0;
  timespec left;
  left.tv_sec = timeout_ms / 1000;
  left.tv_nsec = static_cast<long>(timeout_ms % 1000) * 1'000'000;
  long result;
  do {
    // The kernel leaves what is left of the time in `left`.
    result = raw_syscall(SYS_ppoll, arg(&polled), 1, arg(&left), 0, 0);
  } while (result == -EINTR);
  return result == 1;
}

void receive(int socket, MapAnswer& answer, Received& received) {
  ControlBuffer control;
  iovec part;
  part = {&answer, sizeof answer};
  msghdr message;
  message.msg_name = nullptr;
  message.msg_namelen = 0;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  message.msg_flags = 0;
  received.bytes = raw_syscall(SYS_recvmsg, socket, arg(&message), MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (received.bytes < 0) return;
  // Kernel and buffer make one header of it; CMSG_NXTHDR would be a call.
  if (message.msg_controllen >= sizeof(cmsghdr) && control.align.cmsg_level == SOL_SOCKET &&
      control.align.cmsg_type == SCM_RIGHTS) {
    received.count = static_cast<unsigned>((control.align.cmsg_len - CMSG_LEN(0)) / sizeof(int));
    const unsigned char* data = CMSG_DATA(&control.align);
    for (unsigned i = 0; i < received.count && i < kMaxDescriptors; ++i) {
      received.fds[i] = read_int(data + i * sizeof(int));
    }
  }
  received.descriptors_lost = (message.msg_flags & MSG_CTRUNC) != 0;
  if ((message.msg_flags & MSG_TRUNC) != 0) received.bytes = -EMSGSIZE;
}

Refusal take(const MapAnswer& answer, Received& received, MappedImage& result) {
  if (received.descriptors_lost) return Refusal::no_descriptors;
  const bool is_whole = received.bytes == static_cast<long>(sizeof answer) &&
                        answer.magic == kMapMagic && answer.descriptors == received.count;
  if (is_whole && answer.version != kMapVersion) return Refusal::other_version;
  if (!is_whole || answer.refusal >= static_cast<std::uint32_t>(Refusal::count)) {
    return Refusal::no_service;
  }
  if (answer.refusal != 0) return static_cast<Refusal>(answer.refusal);
  if (received.count == 0) return Refusal::no_service;
  result.image = received.fds[0];
  result.file_count = received.count - 1;
  for (unsigned i = 0; i < result.file_count; ++i) result.files[i] = received.fds[i + 1];
  result.entry = answer.entry;
  result.context = answer.context;
  result.image_bytes = answer.image_bytes;
  received.count = 0;  // they are the caller's now
  return Refusal::none;
}

}  // namespace

Refusal send_map(const MapCall& call, MapQuestion& question) {
  const long socket =
      raw_syscall(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket == -EMFILE || socket == -ENFILE) return Refusal::no_descriptors;
  if (socket < 0) return Refusal::no_service;
  question.socket = static_cast<int>(socket);
  question.timeout_ms = call.timeout_ms;
  if (connect_to(question.socket, call.socket_path) && send_request(question.socket, call)) {
    return Refusal::none;
  }
  close_fd(question.socket);
  return Refusal::no_service;
}

Refusal receive_map(const MapQuestion& question, MappedImage& result) {
  Refusal refusal = Refusal::no_service;
  if (wait_for_answer(question.socket, question.timeout_ms)) {
    MapAnswer answer;
    Received received;
    receive(question.socket, answer, received);
    refusal = take(answer, received, result);
    for (unsigned i = 0; i < received.count; ++i) close_fd(received.fds[i]);
  }
  close_fd(question.socket);
  return refusal;
}

Refusal request_map(const MapCall& call, MappedImage& result) {
  MapQuestion question;
  const Refusal refusal = send_map(call, question);
  return refusal == Refusal::none ? receive_map(question, result) : refusal;
}

bool runtime_file_path(const char* const* environment, const char* name, char* buffer,
                       unsigned size) {
  PlainText text(buffer, size);
  if (const char* own = path_variable(environment, "PREWARM_RUNTIME_DIR")) {
    return text.add(own).add(name).fits();
  }
  if (const char* xdg = path_variable(environment, "XDG_RUNTIME_DIR")) {
    return text.add(xdg).add("/prewarm").add(name).fits();
  }
  const auto user = static_cast<unsigned long>(raw_syscall(SYS_geteuid));
  char directory[40];
  PlainText run(directory, sizeof directory);
  if (run.add("/run/user/").add(user).fits() && is_own_directory(directory, user)) {
    return text.add(directory).add("/prewarm").add(name).fits();
  }
  return text.add("/tmp/prewarm-").add(user).add(name).fits();
}

bool service_socket_path(const char* const* environment, char* buffer, unsigned size) {
  return runtime_file_path(environment, kServiceSocketName, buffer, size);
}

void close_mapped(MappedImage& image) {
  if (image.image >= 0) close_fd(image.image);
  for (unsigned i = 0; i < image.file_count; ++i) close_fd(image.files[i]);
  image.image = -1;
  image.file_count = 0;
}

}  // namespace prewarm::image
