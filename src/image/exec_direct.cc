// SPDX-License-Identifier: MIT
#include "image/exec_direct.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "image/format.h"
#include "image/restorer_direct.h"
#include "os/raw_syscall.h"

namespace prewarm::image {
namespace {

using os::arg;
using os::raw_syscall;

// What prctl asks for before it lets a process say which program it is.
bool may_name_program() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (raw_syscall(SYS_capget, arg(&header), arg(data)) != 0) return false;
  const auto has = [&](unsigned capability) {
    return (data[capability / 32].effective >> (capability % 32) & 1) != 0;
  };
  return has(CAP_CHECKPOINT_RESTORE) || has(CAP_SYS_ADMIN);
}

// Security modules that look at who executes what give each process a label; without any the file
// can't be read.
bool has_security_label() {
  const long fd =
      raw_syscall(SYS_openat, AT_FDCWD, arg("/proc/self/attr/current"), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fd != -ENOENT;
  char label[8];
  const long n = raw_syscall(SYS_read, fd, arg(label), sizeof label);
  raw_syscall(SYS_close, fd);
  return n >= 0;
}

// Linux 6.8 can say which modules there are, in less time (lsm_list_modules(2), linux/lsm.h).
bool has_exec_module() {
  constexpr long kListModules = 461;
  constexpr std::uint64_t kSelinux = 101, kSmack = 102, kTomoyo = 103, kApparmor = 104;
  std::uint64_t modules[64];
  std::uint32_t bytes = sizeof modules;
  const long count = raw_syscall(kListModules, arg(modules), arg(&bytes), 0);
  if (count < 0) return has_security_label();
  for (long i = 0; i < count; ++i) {
    const std::uint64_t id = modules[i];
    if (id == kSelinux || id == kSmack || id == kTomoyo || id == kApparmor) return true;
  }
  return false;
}

// Whether somebody may have stopped this process since it was made. A tracer that is told of execs
// has, at the exec of this command at the latest; and what is stopped has given up its processor
// (ptrace(2) waits for that: kernel/ptrace.c, ptrace_check_attach), which the kernel counts.
bool may_have_been_stopped() {
  constexpr long kThread = 1;  // RUSAGE_THREAD
  rusage usage;
  usage.ru_nvcsw = 1;  // a filter of system calls may pretend that it was answered
  return raw_syscall(SYS_getrusage, kThread, arg(&usage)) != 0 || usage.ru_nvcsw != 0;
}

}  // namespace

bool may_start_directly() { return may_name_program() && !has_exec_module(); }

// The file takes 35 us to read, and few programs are started by a process that has waited for
// anything before.
bool is_traced() {
  if (!may_have_been_stopped()) return false;
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, arg("/proc/self/status"), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;
  char text[512];
  const long n = raw_syscall(SYS_read, fd, arg(text), sizeof text);
  raw_syscall(SYS_close, fd);
  constexpr char kUntraced[] = "TracerPid:\t0\n";
  for (long i = 0; i + static_cast<long>(sizeof kUntraced) - 1 <= n; ++i) {
    unsigned same = 0;
    while (same < sizeof kUntraced - 1 && text[i + same] == kUntraced[same]) ++same;
    if (same == sizeof kUntraced - 1) return false;
  }
  return true;
}

// All of its code is in its first segment.
DirectCode map_restorer(const char* restorer) {
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, arg(restorer), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  constexpr std::uint64_t kCodeBytes = 4 * kPageSize;
  const long at = raw_syscall(SYS_mmap, 0, kCodeBytes, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
  raw_syscall(SYS_close, fd);
  if (at < 0 && at > -4096) return {};
  DirectCode code{nullptr, static_cast<std::uint64_t>(at), kCodeBytes};
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(at);
  const bool is_elf = header->e_ident[0] == ELFMAG0 && header->e_ident[1] == ELFMAG1;
  if (is_elf && header->e_entry != 0 && header->e_entry < kCodeBytes) {
    code.entry = reinterpret_cast<StartDirectly>(code.address + header->e_entry);
  }
  return code;
}

void start_directly(const InitialStack& stack, const DirectCode& code, const char* path,
                    char** argv, const MappedImage& image) {
  DirectStart start;
  start.stack = stack;
  start.argv = argv;
  start.path = path;
  start.descriptors.context_bytes = image.context;
  start.descriptors.numbers[0] = image.image;
  for (unsigned i = 0; i < image.file_count; ++i) start.descriptors.numbers[i + 1] = image.files[i];
  start.descriptors.count = static_cast<int>(image.file_count) + 1;
  // The program's own file comes first among those that are mapped: it is the first of all files.
  start.executable = image.files[0];
  start.code = code.address;
  start.code_size = code.size;
  code.entry(&start);
}

}  // namespace prewarm::image
