// SPDX-License-Identifier: MIT
#include "image/tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>

namespace prewarm::image {
namespace {

using os::Result;

std::string number(std::uint64_t value) { return std::to_string(value); }

Result<std::string> read_file(const std::string& path) {
  const os::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return os::failed("open", path);
  std::string text;
  constexpr std::size_t kPiece = std::size_t{1} << 18;
  for (;;) {
    const auto had = text.size();
    text.resize(had + kPiece);
    const ssize_t n = ::read(fd.get(), text.data() + had, kPiece);
    if (n < 0) return os::failed("read", path);
    text.resize(had + static_cast<std::size_t>(n));
    if (n == 0) return text;
  }
}

std::uint64_t take_hex(std::string_view& rest) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value, 16);
  (void)error;  // what isn't a number leaves 0, and no line of the kernel's has that
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  return value;
}

void skip(std::string_view& rest, std::size_t count) {
  rest.remove_prefix(std::min(count, rest.size()));
}

// "7f00-7f01 r-xp 00000000 08:01 1234       /path"
MappedRange parse_mapping(std::string_view line) {
  MappedRange mapping;
  mapping.begin = take_hex(line);
  skip(line, 1);
  mapping.end = take_hex(line);
  skip(line, 1);
  const auto rights = line.substr(0, 4);
  if (rights.find('r') != std::string_view::npos) mapping.protection |= PROT_READ;
  if (rights.find('w') != std::string_view::npos) mapping.protection |= PROT_WRITE;
  if (rights.find('x') != std::string_view::npos) mapping.protection |= PROT_EXEC;
  skip(line, 5);
  mapping.offset = take_hex(line);
  const auto name = line.find_first_of("/[");
  if (name != std::string_view::npos) mapping.name = line.substr(name);
  return mapping;
}

// "Anonymous:             4 kB": whether there are any.
bool says_some(std::string_view line) {
  return line.find_first_of("123456789") != std::string_view::npos;
}

}  // namespace

Tracee::~Tracee() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, __WALL) < 0 && errno == EINTR) {
  }
}

Result<void> Tracee::set_options(unsigned long options) {
  if (::ptrace(PTRACE_SETOPTIONS, pid_, nullptr, options) != 0) {
    return os::failed("set tracing options of process", number(static_cast<std::uint64_t>(pid_)));
  }
  return {};
}

Result<Registers> Tracee::registers() const {
  Registers registers{};
  if (::ptrace(PTRACE_GETREGS, pid_, nullptr, &registers) != 0) {
    return os::failed("read registers of process", number(static_cast<std::uint64_t>(pid_)));
  }
  return registers;
}

Result<void> Tracee::set_registers(const Registers& registers) {
  if (::ptrace(PTRACE_SETREGS, pid_, nullptr, &registers) != 0) {
    return os::failed("set registers of process", number(static_cast<std::uint64_t>(pid_)));
  }
  return {};
}

Result<void> Tracee::read(std::uint64_t address, void* buffer, std::size_t size) const {
  if (!memory_.valid()) {
    const std::string path = "/proc/" + std::to_string(pid_) + "/mem";
    memory_ = os::Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!memory_.valid()) return os::failed("open", path);
  }
  auto* at = static_cast<char*>(buffer);
  while (size > 0) {
    const ssize_t n = ::pread(memory_.get(), at, size, static_cast<off_t>(address));
    if (n <= 0) return os::failed("read memory of the captured process");
    at += n;
    address += static_cast<std::uint64_t>(n);
    size -= static_cast<std::size_t>(n);
  }
  return {};
}

Result<void> Tracee::write(std::uint64_t address, const void* buffer, std::size_t size) {
  std::uint64_t probe = 0;
  if (auto opened = read(address & ~7ULL, &probe, sizeof probe); !opened) return opened;
  const ssize_t n = ::pwrite(memory_.get(), buffer, size, static_cast<off_t>(address));
  if (n != static_cast<ssize_t>(size)) return os::failed("write memory of the captured process");
  return {};
}

Result<std::uint64_t> Tracee::read_word(std::uint64_t address) const {
  std::uint64_t word = 0;
  if (auto done = read(address, &word, sizeof word); !done) return std::unexpected(done.error());
  return word;
}

Result<std::string> Tracee::read_string(std::uint64_t address) const {
  std::string text;
  std::array<char, 256> piece{};
  for (;;) {
    // Not beyond the page: the next may not be there.
    const std::size_t room = std::min<std::size_t>(piece.size(), 4096 - (address & 4095));
    if (auto done = read(address, piece.data(), room); !done) return std::unexpected(done.error());
    const auto length = ::strnlen(piece.data(), room);
    text.append(piece.data(), length);
    if (length < room) return text;
    if (text.size() > 65536) return os::failed_with(ENAMETOOLONG, "read a path of the process");
    address += room;
  }
}

Result<std::vector<Elf64_Dyn>> Tracee::read_dynamic(std::uint64_t address) const {
  constexpr std::size_t kMost = 4096;  // more than any library has
  std::vector<Elf64_Dyn> entries;
  std::array<Elf64_Dyn, 32> piece{};
  while (entries.size() < kMost) {
    // Not beyond the page: the next may not be there.
    const auto room = std::min<std::size_t>(sizeof piece, 4096 - address % 4096);
    const auto count = std::max<std::size_t>(room / sizeof(Elf64_Dyn), 1);
    if (auto done = read(address, piece.data(), count * sizeof(Elf64_Dyn)); !done) {
      return std::unexpected(done.error());
    }
    const Elf64_Dyn* const begin = piece.data();
    const Elf64_Dyn* const end = begin + count;
    const Elf64_Dyn* const last =
        std::find_if(begin, end, [](const auto& entry) { return entry.d_tag == DT_NULL; });
    entries.insert(entries.end(), begin, last);
    if (last != end) return entries;
    address += count * sizeof(Elf64_Dyn);
  }
  return os::failed_with(ENOEXEC, "capture: a dynamic section has no end");
}

Result<int> Tracee::resume(int request, int signal) {
  if (::ptrace(static_cast<__ptrace_request>(request), pid_, nullptr,
               static_cast<unsigned long>(signal)) != 0) {
    return os::failed("resume process", number(static_cast<std::uint64_t>(pid_)));
  }
  int status = 0;
  while (::waitpid(pid_, &status, __WALL) < 0) {
    if (errno != EINTR)
      return os::failed("wait for process", number(static_cast<std::uint64_t>(pid_)));
  }
  if (!WIFSTOPPED(status)) {
    pid_ = -1;
    return os::failed_with(ECHILD, "capture: the program has ended before it was linked");
  }
  return status;
}

Result<int> Tracee::continue_to_call(int signal) { return resume(PTRACE_SYSCALL, signal); }
Result<int> Tracee::continue_freely(int signal) { return resume(PTRACE_CONT, signal); }
Result<int> Tracee::step() { return resume(PTRACE_SINGLESTEP, 0); }

Result<long> Tracee::call(std::uint64_t gadget, long number,
                          const std::vector<std::uint64_t>& args) {
  const auto before = registers();
  if (!before) return std::unexpected(before.error());
  Registers during = *before;
  const std::array fields = {&during.rdi, &during.rsi, &during.rdx,
                             &during.r10, &during.r8,  &during.r9};
  for (std::size_t i = 0; i < args.size() && i < fields.size(); ++i) *fields[i] = args[i];
  during.rax = static_cast<unsigned long long>(number);
  during.orig_rax = ~0ULL;  // no system call is to be restarted
  during.rip = gadget;
  if (auto done = set_registers(during); !done) return std::unexpected(done.error());
  if (auto done = step(); !done) return std::unexpected(done.error());
  const auto after = registers();
  if (!after) return std::unexpected(after.error());
  if (auto done = set_registers(*before); !done) return std::unexpected(done.error());
  return static_cast<long>(after->rax);
}

Result<std::vector<MappedRange>> Tracee::mappings(bool own_pages) const {
  auto text = read_file("/proc/" + std::to_string(pid_) + (own_pages ? "/smaps" : "/maps"));
  if (!text) return std::unexpected(text.error());
  std::vector<MappedRange> mappings;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    // Lines of smaps that aren't a mapping's first begin with a capital letter.
    if (!line.empty() && line[0] >= 'A' && line[0] <= 'Z') {
      if (line.starts_with("Anonymous:") && !mappings.empty()) {
        mappings.back().has_own_pages = says_some(line);
      }
      continue;
    }
    mappings.push_back(parse_mapping(line));
    if (auto& name = mappings.back().name; !name.empty() && name == copy_name_) name = path_;
  }
  return mappings;
}

Result<MappedRange> Tracee::mapping_at(std::uint64_t address) const {
  auto all = mappings(false);
  if (!all) return std::unexpected(all.error());
  for (auto& mapping : *all) {
    if (mapping.begin <= address && address < mapping.end) return std::move(mapping);
  }
  return os::failed_with(EFAULT, "capture: find what is mapped at an address");
}

}  // namespace prewarm::image
