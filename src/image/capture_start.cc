// SPDX-License-Identifier: MIT
#include "image/capture_start.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "image/capture_filter.h"

namespace prewarm::image {
namespace {

using os::Result;

constexpr char kCopyName[] = "prewarm-captured";
constexpr unsigned kExecutable = 0x10;  // MFD_EXEC

// A file that is executed can't be written to, and whoever wants to write to this one doesn't know
// of us. Not valid: copies can't be executed here.
os::Fd copy_of(const std::string& path) {
  os::Fd copy(::memfd_create(kCopyName, MFD_CLOEXEC | kExecutable));
  if (!copy.valid()) copy = os::Fd(::memfd_create(kCopyName, MFD_CLOEXEC));  // before Linux 6.3
  const os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat s{};
  if (!copy.valid() || !file.valid() || ::fstat(file.get(), &s) != 0) return {};
  off_t done = 0;
  while (done < s.st_size) {
    const auto left = static_cast<std::size_t>(s.st_size - done);
    if (::sendfile(copy.get(), file.get(), &done, left) <= 0) return {};
  }
  // While it is open for writing it can't be executed.
  return os::Fd(
      ::open(("/proc/self/fd/" + std::to_string(copy.get())).c_str(), O_RDONLY | O_CLOEXEC));
}

// What the child does between fork and exec. Doesn't return.
[[noreturn]] void become(const std::string& path, const os::Fd& copy,
                         const CaptureOptions& options) {
  const os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) ::_exit(126);
  constexpr int kCopy = 3;
  const int kept = ::fcntl(copy.get(), F_DUPFD_CLOEXEC, kCopy);  // above those that are replaced
  for (int fd = 0; fd <= 2; ++fd) ::dup2(null.get(), fd);
  if (copy.valid()) ::dup3(kept, kCopy, O_CLOEXEC);
  ::close_range(copy.valid() ? kCopy + 1 : kCopy, ~0U, 0);
  if (options.stack_limit != 0) {
    rlimit limit{};
    ::getrlimit(RLIMIT_STACK, &limit);
    limit.rlim_cur = options.stack_limit;
    ::setrlimit(RLIMIT_STACK, &limit);
  }
  std::vector<char*> argv(static_cast<std::size_t>(std::max(1, options.arguments)),
                          const_cast<char*>("x"));
  argv[0] = const_cast<char*>(path.c_str());
  argv.push_back(nullptr);
  std::string preload = "LD_PRELOAD=" + options.preload;
  std::vector<char*> environment;
  if (options.bind_now) environment.push_back(const_cast<char*>("LD_BIND_NOW=1"));
  if (!options.preload.empty()) environment.push_back(preload.data());
  environment.push_back(nullptr);
  if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0 || !install_capture_filter()) ::_exit(126);
  if (copy.valid()) ::execveat(kCopy, "", argv.data(), environment.data(), AT_EMPTY_PATH);
  ::execve(path.c_str(), argv.data(), environment.data());
  ::_exit(127);
}

Result<void> read_anchors(Tracee& tracee, Capture& capture) {
  auto& anchors = capture.anchors;
  const auto registers = tracee.registers();
  if (!registers) return std::unexpected(registers.error());
  anchors.stack_start = registers->rsp;
  std::uint64_t at = registers->rsp;
  const auto next = [&]() -> Result<std::uint64_t> {
    at += 8;
    return tracee.read_word(at - 8);
  };
  const auto argc = next();
  if (!argc) return std::unexpected(argc.error());
  anchors.argc = *argc;
  anchors.argv = at;
  anchors.argv_0 = tracee.read_word(at).value_or(0);
  at += 8 * (*argc + 1);
  anchors.environment = at;
  for (;;) {
    const auto word = next();
    if (!word) return std::unexpected(word.error());
    if (*word == 0) break;
  }
  anchors.auxv = at;
  return {};
}

// Calls `visit(type, address of the value, value)` for each entry.
template <class Visit>
Result<void> visit_auxv(Tracee& tracee, const StartAnchors& anchors, Visit visit) {
  for (std::uint64_t at = anchors.auxv;; at += 16) {
    Elf64_auxv_t entry{};
    if (auto done = tracee.read(at, &entry, sizeof entry); !done) return done;
    if (entry.a_type == AT_NULL) return {};
    visit(entry.a_type, at + 8, entry.a_un.a_val);
  }
}

struct Kernel {  // where the kernel has mapped what
  std::uint64_t loader = 0, vdso = 0, program_headers = 0, entry = 0;
  bool secure = false;
};

Result<Kernel> read_auxv(Tracee& tracee, Capture& capture) {
  Kernel kernel;
  auto& anchors = capture.anchors;
  auto done = visit_auxv(tracee, anchors, [&](auto type, std::uint64_t, std::uint64_t value) {
    switch (type) {
      case AT_BASE:
        kernel.loader = value;
        break;
      case AT_SYSINFO_EHDR:
        kernel.vdso = value;
        break;
      case AT_PHDR:
        kernel.program_headers = value;
        break;
      case AT_PHNUM:
        capture.program_header_count = value;
        break;
      case AT_ENTRY:
        kernel.entry = value;
        break;
      case AT_SECURE:
        kernel.secure = value != 0;
        break;
      case AT_RANDOM:
        anchors.random = value;
        break;
      case AT_PLATFORM:
        anchors.platform = value;
        break;
      case AT_EXECFN:
        anchors.program_name = value;
        break;
      case AT_HWCAP:
        capture.conditions.hwcap = value;
        break;
      case AT_HWCAP2:
        capture.conditions.hwcap2 = value;
        break;
      case AT_MINSIGSTKSZ:
        capture.conditions.signal_stack = value;
        break;
      case AT_CLKTCK:
        capture.conditions.clock_ticks = value;
        break;
      default:
        break;
    }
  });
  if (!done) return std::unexpected(done.error());
  if (auto read = tracee.read(anchors.random, anchors.random_words.data(), 16); !read) {
    return std::unexpected(read.error());
  }
  return kernel;
}

Result<void> move(Tracee& tracee, std::uint64_t gadget, const MappedRange& mapping,
                  std::uint64_t to) {
  const auto size = mapping.end - mapping.begin;
  const auto moved = tracee.call(gadget, SYS_mremap,
                                 {mapping.begin, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to});
  if (!moved) return std::unexpected(moved.error());
  if (*moved < 0) return os::failed_with(static_cast<int>(-*moved), "move", mapping.name);
  return {};
}

// Moves mappings, which lie together, so that the lowest comes to `to`. `gadget` moves along.
Result<void> move_all(Tracee& tracee, std::uint64_t& gadget, const std::vector<MappedRange>& row,
                      std::uint64_t to) {
  const auto begin = row.front().begin;
  for (const auto& mapping : row) {
    const auto target = to + (mapping.begin - begin);
    if (auto done = move(tracee, gadget, mapping, target); !done) return done;
    if (gadget >= mapping.begin && gadget < mapping.end) gadget += target - mapping.begin;
  }
  return {};
}

Result<std::uint64_t> find_syscall(Tracee& tracee, const MappedRange& code) {
  std::vector<std::uint8_t> bytes(code.end - code.begin);
  if (auto done = tracee.read(code.begin, bytes.data(), bytes.size()); !done) {
    return std::unexpected(done.error());
  }
  for (std::size_t i = 0; i + 1 < bytes.size(); ++i) {
    if (bytes[i] == 0x0f && bytes[i + 1] == 0x05) return code.begin + i;
  }
  return os::failed_with(ENOEXEC, "find a system call in the vDSO");
}

}  // namespace

std::uint64_t Arena::take(std::uint64_t size) {
  const auto pages = (size + kPageSize - 1) & ~(kPageSize - 1);
  if (pages == 0 || pages > end_ - next_ || end_ - next_ - pages < kPageSize) return 0;
  const auto at = next_;
  next_ += pages + kPageSize;
  return at;
}

std::uint64_t Arena::take_memory(std::uint64_t size) {
  const auto pages = (size + kPageSize - 1) & ~(kPageSize - 1);
  if (pages == 0 || pages > memory_end_ - memory_next_) return 0;
  const auto at = memory_next_;
  memory_next_ += pages;
  return at;
}

Result<std::unique_ptr<Tracee>> start_traced(const std::string& path,
                                             const CaptureOptions& options) {
  const os::Fd copy = copy_of(path);
  const pid_t pid = ::fork();
  if (pid < 0) return os::failed("fork");
  if (pid == 0) become(path, copy, options);
  int status = 0;
  while (::waitpid(pid, &status, __WALL) < 0) {
    if (errno != EINTR) return os::failed("wait for the program to be captured", path);
  }
  if (WIFEXITED(status)) {
    const bool traced = WEXITSTATUS(status) != 126;
    return os::failed_with(traced ? ENOEXEC : EPERM, traced ? "execute" : "trace", path);
  }
  if (!WIFSTOPPED(status)) return os::failed_with(ECHILD, "execute", path);
  auto tracee = std::make_unique<Tracee>(pid);
  tracee->executes_copy(std::string("/memfd:") + kCopyName + " (deleted)", path);
  if (auto set =
          tracee->set_options(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACESECCOMP);
      !set) {
    return std::unexpected(set.error());
  }
  return tracee;
}

Result<std::uint64_t> move_into_arena(Tracee& tracee, Arena& arena, Capture& capture) {
  if (auto done = read_anchors(tracee, capture); !done) return std::unexpected(done.error());
  const auto kernel = read_auxv(tracee, capture);
  if (!kernel) return std::unexpected(kernel.error());
  if (kernel->secure) return os::failed_with(EPERM, "capture a program with privileges of its own");
  if (kernel->loader == 0) return os::failed_with(ENOEXEC, "capture a static program");

  const auto mappings = tracee.mappings(false);
  if (!mappings) return std::unexpected(mappings.error());
  std::vector<MappedRange> program, loader, vdso;
  std::string program_file, loader_file;
  for (const auto& mapping : *mappings) {
    if (mapping.begin <= kernel->program_headers && kernel->program_headers < mapping.end) {
      program_file = mapping.name;
    }
    if (mapping.begin == kernel->loader) loader_file = mapping.name;
    if (mapping.name == "[stack]") {
      capture.anchors.stack_begin = mapping.begin;
      capture.anchors.stack_end = mapping.end;
    }
  }
  bool after_program = false, after_loader = false;  // bss: anonymous, right behind
  for (const auto& mapping : *mappings) {
    const bool unnamed = mapping.name.empty();
    const bool of_program = mapping.name == program_file || (unnamed && after_program);
    const bool of_loader = mapping.name == loader_file || (unnamed && after_loader);
    if (of_program)
      program.push_back(mapping);
    else if (of_loader)
      loader.push_back(mapping);
    else if (mapping.name.starts_with("[v") && mapping.name != "[vsyscall]")
      vdso.push_back(mapping);
    after_program = of_program;
    after_loader = of_loader;
  }
  if (program.empty() || loader.empty() || vdso.empty() || vdso.back().name != "[vdso]") {
    return os::failed_with(ENOEXEC, "find program, ld.so and vDSO in the captured process");
  }
  auto gadget = find_syscall(tracee, vdso.back());
  if (!gadget) return std::unexpected(gadget.error());

  const auto size_of = [](const std::vector<MappedRange>& row) {
    return row.back().end - row.front().begin;
  };
  std::uint64_t program_slide = 0;
  const bool movable = program.front().begin >= kArenaHighest;
  const auto new_vdso = arena.take(size_of(vdso));
  const auto new_loader = arena.take(size_of(loader));
  const auto new_program = movable ? arena.take(size_of(program)) : program.front().begin;
  if (auto done = move_all(tracee, *gadget, vdso, new_vdso); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = move_all(tracee, *gadget, loader, new_loader); !done) {
    return std::unexpected(done.error());
  }
  if (movable) {
    program_slide = new_program - program.front().begin;
    if (auto done = move_all(tracee, *gadget, program, new_program); !done) {
      return std::unexpected(done.error());
    }
  }

  capture.vdso = {new_vdso, size_of(vdso), kernel->vdso + (new_vdso - vdso.front().begin), {}};
  if (vdso.size() > std::size(capture.vdso.part_sizes)) {
    return os::failed_with(ENOEXEC, "understand the mappings of the vDSO");
  }
  for (std::size_t i = 0; i < vdso.size(); ++i) {
    capture.vdso.part_sizes[i] = vdso[i].end - vdso[i].begin;
  }
  capture.conditions.vdso_size = capture.vdso.size;
  capture.loader_base = new_loader;
  capture.program_headers = kernel->program_headers + program_slide;
  capture.entry = kernel->entry + program_slide;
  Result<void> wrote{};
  const auto done =
      visit_auxv(tracee, capture.anchors, [&](auto type, std::uint64_t at, std::uint64_t value) {
        const std::uint64_t now = type == AT_BASE           ? capture.loader_base
                                  : type == AT_SYSINFO_EHDR ? capture.vdso.code
                                  : type == AT_PHDR         ? capture.program_headers
                                  : type == AT_ENTRY        ? capture.entry
                                                            : value;
        if (now != value && wrote) wrote = tracee.write(at, &now, sizeof now);
      });
  if (!done) return std::unexpected(done.error());
  if (!wrote) return std::unexpected(wrote.error());

  auto registers = tracee.registers();
  if (!registers) return std::unexpected(registers.error());
  registers->rip += new_loader - loader.front().begin;
  registers->orig_rax = ~0ULL;
  if (auto set = tracee.set_registers(*registers); !set) return std::unexpected(set.error());
  return *gadget;
}

}  // namespace prewarm::image
