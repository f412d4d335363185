// SPDX-License-Identifier: MIT
#include "image/exec_front.h"
#include "image/audit_variable.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "image/exec_direct.h"
#include "image/format.h"
#include "image/image_file.h"
#include "image/image_start.h"
#include "image/plain_text.h"
#include "image/restorer_core.h"
#include "os/raw_syscall.h"

namespace prewarm::image {
namespace {

using os::arg;
using os::raw_syscall;

constexpr char kRestorerName[] = "libprewarm-restore.so";

struct Request {
  const char* image = nullptr;  // --image FILE
  const char* path = nullptr;   // --path FILE
  bool always = false;          // --always
  char** argv = nullptr;        // of the program
};

// False: the command line is for others.
bool read_arguments(const InitialStack& stack, Request& request) {
  const std::uint64_t count = *stack.start;
  std::uint64_t at = 2;
  if (count < 3 || !same_text(stack.argv[1], "exec")) return false;
  for (; at + 1 < count; ++at) {
    if (same_text(stack.argv[at], "--always")) {
      request.always = true;
    } else if (at + 2 < count && same_text(stack.argv[at], "--image")) {
      request.image = stack.argv[++at];
    } else if (at + 2 < count && same_text(stack.argv[at], "--path")) {
      request.path = stack.argv[++at];
    } else {
      break;
    }
  }
  if (same_text(stack.argv[at], "--") && at + 1 < count) {
    ++at;
  } else if (stack.argv[at][0] == '-') {
    return false;
  }
  request.argv = stack.argv + at;
  return request.path != nullptr || stack.argv[at][0] != '\0';
}

bool is_program(const char* path) {
  struct stat s{};
  return raw_syscall(SYS_newfstatat, AT_FDCWD, arg(path), arg(&s), 0) == 0 && S_ISREG(s.st_mode) &&
         raw_syscall(SYS_faccessat2, AT_FDCWD, arg(path), 1 /* X_OK */, AT_EACCESS) == 0;
}

// As a shell finds it.
bool find_program(const InitialStack& stack, const char* name, char* path) {
  for (const char* c = name; *c != '\0'; ++c) {
    if (*c != '/') continue;
    return PlainText(path, kPathBytes).add(name).fits();
  }
  const char* directories = variable_of(stack, "PATH=");
  if (directories == nullptr) directories = "/usr/local/bin:/usr/bin:/bin";
  for (;; ++directories) {
    PlainText text(path, kPathBytes);
    const bool is_empty = *directories == ':' || *directories == '\0';
    if (is_empty) text.put('.');
    for (; *directories != ':' && *directories != '\0'; ++directories) text.put(*directories);
    text.put('/').add(name);
    if (text.fits() && is_program(path)) return true;
    if (*directories == '\0') return false;
  }
}

// Where it lies if `command` is the path of the command's file.
bool is_restorer_of(const char* command, char* path) {
  for (const char* where : {"", "../lib/prewarm/"}) {
    PlainText text(path, kPathBytes);
    text.add(command).cut_after_last('/');
    text.add(where).add(kRestorerName);
    if (text.fits() && raw_syscall(SYS_faccessat, AT_FDCWD, arg(path), 4 /* R_OK */) == 0) {
      return true;
    }
  }
  return false;
}

// Beside the command, or where it is installed.
bool find_restorer(const InitialStack& stack, char* path) {
  const auto* const name = stack.auxiliary.file_name;
  const char* const executed =
      name == nullptr ? "" : reinterpret_cast<const char*>(name->a_un.a_val);
  // What has been executed mostly is the file itself; to ask /proc takes ten times as long.
  char link[1];
  if (executed[0] == '/' &&
      raw_syscall(SYS_readlinkat, AT_FDCWD, arg(executed), arg(link), sizeof link) == -EINVAL &&
      is_restorer_of(executed, path)) {
    return true;
  }
  char command[kPathBytes];
  const long n =
      raw_syscall(SYS_readlinkat, AT_FDCWD, arg("/proc/self/exe"), arg(command), kPathBytes - 1);
  if (n <= 0) return false;
  command[n] = '\0';
  return is_restorer_of(command, path);
}

bool is_image(const ImageHeader& header, std::uint64_t size) {
  return size >= sizeof header && same_text(header.magic, kImageMagic) &&
         header.version == kImageVersion && header.total_bytes == size &&
         header.mapped_files <= kMaxMappedFiles && header.files.offset <= size &&
         header.files.count <= (size - header.files.offset) / sizeof(ImageFile) &&
         header.strings.offset <= size;
}

// Opens the files that are mapped; all have to be what they were.
bool open_files(const ImageHeader& header, MappedImage& result) {
  const auto* const begin = reinterpret_cast<const char*>(&header);
  const auto* const files = reinterpret_cast<const ImageFile*>(begin + header.files.offset);
  const auto* const strings = begin + header.strings.offset;
  const std::uint64_t most = header.total_bytes - header.strings.offset;
  result.file_count = header.mapped_files;
  for (unsigned i = 0; i < result.file_count; ++i) result.files[i] = -1;
  for (std::uint64_t i = 0; i < header.files.count; ++i) {
    const auto place = files[i].descriptor;
    if ((files[i].flags & kFileMapped) == 0 || place >= header.mapped_files) continue;
    if (files[i].path >= most) return false;
    const long fd =
        raw_syscall(SYS_openat, AT_FDCWD, arg(strings + files[i].path), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    result.files[place] = static_cast<int>(fd);
    struct stat s{};
    if (raw_syscall(SYS_fstat, fd, arg(&s)) != 0 || !is_same_file(files[i], s)) return false;
  }
  for (unsigned i = 0; i < result.file_count; ++i) {
    if (result.files[i] < 0) return false;
  }
  return true;
}

// The image of a file, with the files that it names: what the service would answer. On failure
// there may be descriptors, to be closed.
bool open_image(const char* path, MappedImage& result) {
  result.image = static_cast<int>(
      raw_syscall(SYS_openat, AT_FDCWD, arg(path), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (result.image < 0) return false;
  struct stat s{};
  raw_syscall(SYS_fstat, result.image, arg(&s));
  const long at = raw_syscall(SYS_mmap, 0, s.st_size, PROT_READ, MAP_PRIVATE, result.image, 0);
  if (at < 0 && at > -4096) return false;
  const auto& header = *reinterpret_cast<const ImageHeader*>(at);
  const bool is_right =
      is_image(header, static_cast<std::uint64_t>(s.st_size)) && open_files(header, result);
  result.context = is_right ? header.context_bytes : 0;
  raw_syscall(SYS_munmap, at, s.st_size);
  return is_right;
}

// Returns why not.
Refusal start_from_file(const InitialStack& stack, const ImageStart& start, const char* file) {
  char restorer[kPathBytes];
  if (!find_restorer(stack, restorer)) return Refusal::cannot_map;
  if (has_loader_variables(stack.environment)) return Refusal::loader_variables;
  MappedImage image;
  if (!open_image(file, image)) {
    close_mapped(image);
    return Refusal::no_image;
  }
  return start_with(stack, start, restorer, image);
}

// The same.
Refusal start_from_service(const InitialStack& stack, const ImageStart& start) {
  AskedStart asked;
  const Refusal refusal = begin_start(stack, start, asked);
  if (refusal != Refusal::none) return refusal;
  char restorer[kPathBytes];
  if (find_restorer(stack, restorer)) return finish_start(stack, start, asked, restorer);
  abandon_start(asked);
  return Refusal::cannot_map;
}

}  // namespace

extern "C" void prewarm_exec_front(std::uint64_t* stack_start) {
  const InitialStack stack = read_stack(reinterpret_cast<char**>(stack_start + 1));
  Request request;
  char path[kPathBytes];
  if (!read_arguments(stack, request)) return;
  const char* const name = request.path != nullptr ? request.path : request.argv[0];
  if (!find_program(stack, name, path)) return;
  const ImageStart start{path, request.argv, request.always};
  const Refusal refusal = request.image != nullptr ? start_from_file(stack, start, request.image)
                                                   : start_from_service(stack, start);
  // The command says that there is no such file, or starts a service.
  if (refusal == Refusal::no_image && request.image != nullptr) return;
  if (refusal == Refusal::no_service && service_start_is_due(stack)) return;
  raw_syscall(SYS_execve, arg(path), arg(request.argv), arg(stack.environment));
}

}  // namespace prewarm::image
