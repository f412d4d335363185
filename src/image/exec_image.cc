// SPDX-License-Identifier: MIT
#include "image/exec_image.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "image/audit_variable.h"
#include "image/format.h"
#include "image/map_client.h"
#include "os/raw_syscall.h"

namespace prewarm::image {
namespace {

using os::arg;
using os::raw_syscall;

constexpr unsigned kPathBytes = 4096;
constexpr long kRlimitStack = 3;

// ld.so starts first on this way, and does what it does before it loads anything. That is more than
// mapping a few libraries takes; an image is known by how many regions it has.
constexpr std::uint64_t kFewestRegions = 80;

bool pays(const MappedImage& image) {
  return image.context >= sizeof(ImageHeader) + kFewestRegions * sizeof(ImageRegion);
}

bool is_absolute(const char* path) { return path[0] == '/'; }

bool ask_service(const char* path, char* const* environment, MappedImage& image) {
  char socket_path[128];
  if (!service_socket_path(environment, socket_path, sizeof socket_path)) return false;
  struct {
    std::uint64_t soft, hard;
  } limit{};
  raw_syscall(SYS_prlimit64, 0, kRlimitStack, 0, arg(&limit));
  MapCall call;
  call.socket_path = socket_path;
  call.stack_limit = limit.soft;
  call.flags = kMapBuild;
  call.path = path;
  call.exec_fd = static_cast<int>(raw_syscall(SYS_openat, AT_FDCWD, arg(path), O_PATH | O_CLOEXEC));
  if (call.exec_fd < 0) return false;
  call.pidfd = static_cast<int>(raw_syscall(SYS_pidfd_open, raw_syscall(SYS_getpid), 0));
  const bool has_image = call.pidfd >= 0 && request_map(call, image) == Refusal::none;
  raw_syscall(SYS_close, call.exec_fd);
  if (call.pidfd >= 0) raw_syscall(SYS_close, call.pidfd);
  return has_image;
}

}  // namespace

void exec_from_image(const char* restorer, const char* path, char* const* argv,
                     char* const* environment) {
  if (!is_absolute(path) || has_loader_variables(environment)) return;
  MappedImage image;
  if (!ask_service(path, environment, image)) return;
  char added[kPathBytes + kMaxMappedFiles * 8];
  if (pays(image) && write_audit_variable(restorer, image, added, sizeof added)) {
    execute_with_variable(path, argv, environment, added);
  }
  close_mapped(image);
}

}  // namespace prewarm::image
