// SPDX-License-Identifier: MIT
#include "image/audit_variable.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "image/plain_text.h"
#include "image/restorer_process.h"
#include "os/raw_syscall.h"

namespace prewarm::image {
namespace {

using os::arg;
using os::raw_syscall;

// `number_of`: the number that the descriptor at a place will have, the image's at 0.
template <class NumberOf>
bool write(const char* restorer, const MappedImage& image, char* buffer, NumberOf number_of) {
  for (const char* c = restorer; *c != '\0'; ++c) {
    if (*c == ':') return false;  // separates the files that LD_AUDIT names
  }
  PlainText text(buffer, kAuditVariableBytes);
  text.add(kAuditVariable).add(restorer).add(kAuditMark).add(image.context);
  for (unsigned place = 0; place <= image.file_count; ++place) {
    text.put(place == 0 ? ':' : ',').add(number_of(place));
  }
  return text.fits();
}

}  // namespace

bool has_loader_variables(char* const* environment) {
  for (; *environment != nullptr; ++environment) {
    const char* it = *environment;
    if (begins_with(it, "LD_") || begins_with(it, "GLIBC_TUNABLES=") ||
        begins_with(it, "MALLOC_")) {
      return true;
    }
  }
  return false;
}

bool write_audit_variable(const char* restorer, const MappedImage& image, char* buffer) {
  return write(restorer, image, buffer, [&image](unsigned place) {
    return static_cast<std::uint64_t>(place == 0 ? image.image : image.files[place - 1]);
  });
}

bool write_audit_variable(const char* restorer, const MappedImage& image, int first, char* buffer) {
  return write(restorer, image, buffer,
               [first](unsigned place) { return static_cast<std::uint64_t>(first) + place; });
}

void keep_over_exec(const MappedImage& image) {
  raw_syscall(SYS_fcntl, image.image, F_SETFD, 0);
  for (unsigned i = 0; i < image.file_count; ++i) {
    raw_syscall(SYS_fcntl, image.files[i], F_SETFD, 0);
  }
}

void execute_with_variable(const char* path, char* const* argv, char* const* environment,
                           const char* variable) {
  std::uint64_t count = 0;
  while (environment[count] != nullptr) ++count;
  const auto bytes = static_cast<long>((count + 2) * sizeof(char*));
  const long at =
      raw_syscall(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at < 0 && at > -4096) return;
  auto** longer = reinterpret_cast<const char**>(at);
  for (std::uint64_t i = 0; i < count; ++i) longer[i] = environment[i];
  longer[count] = variable;
  raw_syscall(SYS_execve, arg(path), arg(argv), arg(longer));
  raw_syscall(SYS_munmap, at, bytes);
}

}  // namespace prewarm::image
