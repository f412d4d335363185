// SPDX-License-Identifier: MIT
#include "image/image_start.h"

#include <fcntl.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <time.h>

#include "image/audit_variable.h"
#include "image/exec_direct.h"
#include "image/plain_text.h"
#include "image/wire.h"
#include "os/raw_syscall.h"

namespace prewarm::image {
namespace {

using os::arg;
using os::raw_syscall;

constexpr std::uint64_t kRlimitStack = 3;

// As the service wants it. Symbolic links and dots may stay.
bool make_absolute(const char* path, char* absolute) {
  PlainText text(absolute, kPathBytes);
  if (path[0] == '/') return text.add(path).fits();
  char directory[kPathBytes];
  if (raw_syscall(SYS_getcwd, arg(directory), sizeof directory) <= 0 || directory[0] != '/') {
    return false;
  }
  return text.add(directory).put('/').add(path).fits();
}

// Whether the file has been as it is for so long.
bool is_settled(int fd, std::int64_t age_s) {
  struct statx s;
  timespec now;
  return raw_syscall(SYS_statx, fd, arg(""), AT_EMPTY_PATH, STATX_CTIME, arg(&s)) == 0 &&
         raw_syscall(SYS_clock_gettime, CLOCK_REALTIME_COARSE, arg(&now)) == 0 &&
         now.tv_sec - s.stx_ctime.tv_sec >= age_s;
}

Refusal ask_for_program(char* const* environment, const MapWish& wish, MapQuestion& question) {
  char socket_path[128];
  char absolute[kPathBytes];
  if (!service_socket_path(environment, socket_path, sizeof socket_path) ||
      !make_absolute(wish.path, absolute)) {
    return Refusal::no_service;
  }
  struct {
    std::uint64_t soft, hard;
  } limit{};
  raw_syscall(SYS_prlimit64, 0, kRlimitStack, 0, arg(&limit));
  MapCall call;
  call.socket_path = socket_path;
  call.stack_limit = limit.soft;
  call.fewest_regions = wish.fewest_regions;
  call.path = absolute;
  call.preload = wish.preload;
  call.exec_fd =
      static_cast<int>(raw_syscall(SYS_openat, AT_FDCWD, arg(wish.path), O_PATH | O_CLOEXEC));
  call.pidfd = static_cast<int>(raw_syscall(SYS_pidfd_open, raw_syscall(SYS_getpid), 0));
  const bool is_made = wish.least_age_s == 0 || is_settled(call.exec_fd, wish.least_age_s);
  call.flags = is_made ? kMapBuild : 0;
  const Refusal refusal =
      call.exec_fd >= 0 && call.pidfd >= 0 ? send_map(call, question) : Refusal::no_descriptors;
  raw_syscall(SYS_close, call.exec_fd);
  raw_syscall(SYS_close, call.pidfd);
  return refusal;
}

// `code`: null if the program has to be executed. The image is closed.
Refusal start_by(const InitialStack& stack, const ImageStart& start, const char* restorer,
                 const DirectCode& code, MappedImage& image) {
  if (!is_image_of(image, start.path)) {
    close_mapped(image);
    return Refusal::stale;
  }
  if (code.entry != nullptr) start_directly(stack, code, start.path, start.argv, image);
  char variable[kAuditVariableBytes];
  const bool can_be_named = write_audit_variable(restorer, image, variable);
  if (can_be_named) {
    keep_over_exec(image);
    execute_with_variable(start.path, start.argv, stack.environment, variable);
  }
  close_mapped(image);
  return can_be_named ? Refusal::none : Refusal::cannot_map;
}

// Null if it has to be by an exec. That will take the code away, if the image can't be used.
DirectCode direct_code(bool may_be_direct, const char* restorer) {
  return may_be_direct && !is_traced() ? map_restorer(restorer) : DirectCode{};
}

}  // namespace

Refusal map_program(char* const* environment, const MapWish& wish, MappedImage& result) {
  MapQuestion question;
  const Refusal refusal = ask_for_program(environment, wish, question);
  return refusal == Refusal::none ? receive_map(question, result) : refusal;
}

bool is_image_of(const MappedImage& image, const char* path) {
  struct stat mapped{}, executed{};
  return image.file_count != 0 && raw_syscall(SYS_fstat, image.files[0], arg(&mapped)) == 0 &&
         raw_syscall(SYS_newfstatat, AT_FDCWD, arg(path), arg(&executed), 0) == 0 &&
         mapped.st_dev == executed.st_dev && mapped.st_ino == executed.st_ino &&
         (executed.st_mode & (S_ISUID | S_ISGID)) == 0;
}

const char* variable_of(const InitialStack& stack, const char* name_and_equals) {
  for (std::uint64_t i = 0; i < stack.variables; ++i) {
    if (!begins_with(stack.environment[i], name_and_equals)) continue;
    const char* value = stack.environment[i];
    for (; *name_and_equals != '\0'; ++name_and_equals) ++value;
    return value;
  }
  return nullptr;
}

Refusal begin_start(const InitialStack& stack, const ImageStart& start, AskedStart& asked) {
  if (has_loader_variables(stack.environment)) return Refusal::loader_variables;
  asked.may_be_direct = start.may_be_direct && may_start_directly();
  const bool pays_always = asked.may_be_direct || start.always;
  const MapWish wish{.path = start.path, .fewest_regions = pays_always ? 0 : kFewestForExec};
  return ask_for_program(stack.environment, wish, asked.question);
}

Refusal finish_start(const InitialStack& stack, const ImageStart& start, const AskedStart& asked,
                     const char* restorer) {
  // While the service looks.
  const DirectCode code = direct_code(asked.may_be_direct, restorer);
  MappedImage image;
  const Refusal refusal = receive_map(asked.question, image);
  return refusal == Refusal::none ? start_by(stack, start, restorer, code, image) : refusal;
}

void abandon_start(const AskedStart& asked) { raw_syscall(SYS_close, asked.question.socket); }

Refusal start_with(const InitialStack& stack, const ImageStart& start, const char* restorer,
                   MappedImage& image) {
  const bool may_be_direct = start.may_be_direct && may_start_directly();
  return start_by(stack, start, restorer, direct_code(may_be_direct, restorer), image);
}

bool service_start_is_due(const InitialStack& stack) {
  char stamp[128];
  if (!runtime_file_path(stack.environment, kStartStampName, stamp, sizeof stamp)) return false;
  struct statx s;
  if (raw_syscall(SYS_statx, AT_FDCWD, arg(stamp), 0, STATX_MTIME, arg(&s)) != 0) return true;
  timespec now;
  raw_syscall(SYS_clock_gettime, CLOCK_REALTIME, arg(&now));
  const std::int64_t age = now.tv_sec - s.stx_mtime.tv_sec;
  return age < 0 || age >= kStartPauseSeconds;
}

}  // namespace prewarm::image
