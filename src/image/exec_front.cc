// SPDX-License-Identifier: MIT
#include "image/exec_front.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "image/exec_direct.h"
#include "image/format.h"
#include "image/map_client.h"
#include "image/restorer_core.h"
#include "image/restorer_process.h"
#include "os/raw_syscall.h"

namespace prewarm::image {
namespace {

using os::arg;
using os::raw_syscall;

constexpr unsigned kPathBytes = 4096;
constexpr std::uint64_t kRlimitStack = 3;
constexpr char kRestorerName[] = "libprewarm-restore.so";

bool same(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) ++a, ++b;
  return *a == *b;
}

bool begins_with(const char* text, const char* beginning) {
  for (; *beginning != '\0'; ++text, ++beginning) {
    if (*text != *beginning) return false;
  }
  return true;
}

// Text of bounded length, always ended by a zero.
class Text {
 public:
  Text(char* buffer, unsigned size) : begin_(buffer), room_(size - 1) { *begin_ = '\0'; }
  Text& add(const char* part) {
    for (; *part != '\0'; ++part) put(*part);
    return *this;
  }
  Text& add(std::uint64_t number) {
    char digits[20];
    unsigned count = 0;
    do {
      digits[count++] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    while (count > 0) put(digits[--count]);
    return *this;
  }
  Text& put(char c) {
    if (length_ < room_) {
      begin_[length_++] = c;
      begin_[length_] = '\0';
    } else {
      fits_ = false;
    }
    return *this;
  }
  void cut_after_last(char c) {
    while (length_ > 0 && begin_[length_ - 1] != c) --length_;
    begin_[length_] = '\0';
  }
  bool fits() const { return fits_; }

 private:
  char* begin_;
  unsigned room_;
  unsigned length_ = 0;
  bool fits_ = true;
};

struct Request {
  const char* image = nullptr;  // --image FILE
  char** argv = nullptr;        // of the program
};

// False: the command line is for others.
bool read_arguments(const InitialStack& stack, Request& request) {
  const std::uint64_t count = *stack.start;
  std::uint64_t at = 2;
  if (count < 3 || !same(stack.argv[1], "exec")) return false;
  if (same(stack.argv[at], "--image") && at + 2 < count) {
    request.image = stack.argv[at + 1];
    at += 2;
  }
  if (same(stack.argv[at], "--") && at + 1 < count) {
    ++at;
  } else if (stack.argv[at][0] == '-') {
    return false;
  }
  request.argv = stack.argv + at;
  return stack.argv[at][0] != '\0';
}

const char* variable(const InitialStack& stack, const char* name_and_equals) {
  for (std::uint64_t i = 0; i < stack.variables; ++i) {
    if (!begins_with(stack.environment[i], name_and_equals)) continue;
    const char* value = stack.environment[i];
    for (; *name_and_equals != '\0'; ++name_and_equals) ++value;
    return value;
  }
  return nullptr;
}

// ld.so's own, and those of malloc that it reads.
bool has_loader_variables(const InitialStack& stack) {
  for (std::uint64_t i = 0; i < stack.variables; ++i) {
    const char* it = stack.environment[i];
    if ((it[0] == 'L' && begins_with(it, "LD_")) || begins_with(it, "GLIBC_TUNABLES=") ||
        begins_with(it, "MALLOC_")) {
      return true;
    }
  }
  return false;
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
    return Text(path, kPathBytes).add(name).fits();
  }
  const char* directories = variable(stack, "PATH=");
  if (directories == nullptr) directories = "/usr/local/bin:/usr/bin:/bin";
  for (;; ++directories) {
    Text text(path, kPathBytes);
    const bool is_empty = *directories == ':' || *directories == '\0';
    if (is_empty) text.put('.');
    for (; *directories != ':' && *directories != '\0'; ++directories) text.put(*directories);
    text.put('/').add(name);
    if (text.fits() && is_program(path)) return true;
    if (*directories == '\0') return false;
  }
}

// Beside the command, or where it is installed.
bool find_restorer(char* path) {
  const long n =
      raw_syscall(SYS_readlinkat, AT_FDCWD, arg("/proc/self/exe"), arg(path), kPathBytes - 1);
  if (n <= 0) return false;
  char executable[kPathBytes];
  for (long i = 0; i < n; ++i) executable[i] = path[i];
  executable[n] = '\0';
  for (const char* where : {"", "../lib/prewarm/"}) {
    Text text(path, kPathBytes);
    text.add(executable).cut_after_last('/');
    text.add(where).add(kRestorerName);
    if (text.fits() && raw_syscall(SYS_faccessat, AT_FDCWD, arg(path), 4 /* R_OK */) == 0) {
      return true;
    }
  }
  return false;
}

bool is_image(const ImageHeader& header, std::uint64_t size) {
  return size >= sizeof header && same(header.magic, kImageMagic) &&
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

// Whether it is the program's image, and may be: one that gets privileges from its file has to be
// executed without anything of ours.
bool is_for(const MappedImage& image, const char* path) {
  struct stat mapped{}, executed{};
  return image.file_count != 0 && raw_syscall(SYS_fstat, image.files[0], arg(&mapped)) == 0 &&
         raw_syscall(SYS_newfstatat, AT_FDCWD, arg(path), arg(&executed), 0) == 0 &&
         mapped.st_dev == executed.st_dev && mapped.st_ino == executed.st_ino &&
         (executed.st_mode & (S_ISUID | S_ISGID)) == 0;
}

bool ask_service(const InitialStack& stack, const char* path, MappedImage& result) {
  char socket_path[128];
  if (!service_socket_path(stack.environment, socket_path, sizeof socket_path)) return false;
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
  call.pidfd = static_cast<int>(raw_syscall(SYS_pidfd_open, raw_syscall(SYS_getpid), 0));
  const bool has_image =
      call.exec_fd >= 0 && call.pidfd >= 0 && request_map(call, result) == Refusal::none;
  raw_syscall(SYS_close, call.exec_fd);
  raw_syscall(SYS_close, call.pidfd);
  return has_image;
}

// `LD_AUDIT=…`, see restorer_process.h. The descriptors outlive the exec from here on.
bool write_variable(const char* restorer, const MappedImage& image, Text& text) {
  text.add(kAuditVariable).add(restorer).add(kAuditMark).add(image.context).put(':');
  text.add(static_cast<std::uint64_t>(image.image));
  for (unsigned i = 0; i < image.file_count; ++i) {
    text.put(',').add(static_cast<std::uint64_t>(image.files[i]));
  }
  if (!text.fits()) return false;
  raw_syscall(SYS_fcntl, image.image, F_SETFD, 0);
  for (unsigned i = 0; i < image.file_count; ++i)
    raw_syscall(SYS_fcntl, image.files[i], F_SETFD, 0);
  return true;
}

// Executes with the variable behind all others. Returns if that fails.
void execute_with(const InitialStack& stack, const char* path, char** argv, const char* added) {
  const std::uint64_t bytes = (stack.variables + 2) * sizeof(char*);
  const long at = raw_syscall(SYS_mmap, 0, static_cast<long>(bytes), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at < 0 && at > -4096) return;
  auto** environment = reinterpret_cast<const char**>(at);
  for (std::uint64_t i = 0; i < stack.variables; ++i) environment[i] = stack.environment[i];
  environment[stack.variables] = added;
  environment[stack.variables + 1] = nullptr;
  raw_syscall(SYS_execve, arg(path), arg(argv), arg(environment));
}

// Whether an image was there to try.
bool execute_image(const InitialStack& stack, const Request& request, const char* path) {
  char restorer[kPathBytes];
  if (has_loader_variables(stack) || !find_restorer(restorer)) return false;
  for (const char* c = restorer; *c != '\0'; ++c) {
    if (*c == ':') return false;  // separates the files that LD_AUDIT names
  }
  MappedImage image;
  const bool has_image =
      request.image != nullptr ? open_image(request.image, image) : ask_service(stack, path, image);
  if (!has_image || !is_for(image, path)) {
    close_mapped(image);
    return false;
  }
  start_directly(stack, restorer, path, request.argv, image);
  char added[kPathBytes + kMaxMappedFiles * 8];
  Text text(added, sizeof added);
  if (write_variable(restorer, image, text)) execute_with(stack, path, request.argv, added);
  close_mapped(image);
  return true;
}

}  // namespace

extern "C" void prewarm_exec_front(std::uint64_t* start) {
  const InitialStack stack = read_stack(reinterpret_cast<char**>(start + 1));
  Request request;
  char path[kPathBytes];
  if (!read_arguments(stack, request) || !find_program(stack, request.argv[0], path)) return;
  const bool had_image = execute_image(stack, request, path);
  // Without a service the command starts one.
  if (had_image) raw_syscall(SYS_execve, arg(path), arg(request.argv), arg(stack.environment));
}

}  // namespace prewarm::image
