// SPDX-License-Identifier: MIT
#include "park/eligibility.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "os/fd.h"
#include "park/elf_file.h"

namespace prewarm::park {
namespace {

using launch::Reason;

constexpr std::string_view kSoftwareDirectories[] = {"/usr/bin/", "/bin/", "/usr/local/bin/",
                                                     "/opt/", "/usr/games/"};

// Programs whose accidental run would do harm, or that tell things by being started. They aren't
// reached by tests of the directory alone.
constexpr std::string_view kDenied[] = {"reboot",  "poweroff",  "halt",    "shutdown", "init",
                                        "telinit", "systemctl", "su",      "sudo",     "login",
                                        "kexec",   "busctl",    "loginctl"};

// Programs that handle keys: clones share address layout and pointer guard, so each parked process
// is exec'd on its own.
constexpr std::string_view kExecIsolated[] = {
    "ssh",     "scp", "sftp",       "ssh-keygen", "ssh-add", "gpg",    "gpgv",     "gpg-agent",
    "openssl", "age", "cryptsetup", "certtool",   "pass",    "keyctl", "ssh-agent"};

std::string_view base_name(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool lies_in(std::string_view path, std::string_view directory) {
  if (directory.empty()) return false;
  if (!path.starts_with(directory)) return false;
  return directory.ends_with('/') || path.substr(directory.size()).starts_with('/');
}

bool is_installed_software(std::string_view path, const char* more_directories) {
  for (const auto directory : kSoftwareDirectories) {
    if (path.starts_with(directory)) return true;
  }
  std::string_view more = more_directories == nullptr ? "" : more_directories;
  while (!more.empty()) {
    const auto colon = more.find(':');
    if (lies_in(path, more.substr(0, colon))) return true;
    if (colon == std::string_view::npos) break;
    more.remove_prefix(colon + 1);
  }
  return false;
}

template <std::size_t N>
bool contains(const std::string_view (&names)[N], std::string_view name) {
  for (const auto n : names) {
    if (n == name) return true;
  }
  return false;
}

// Whether a name is among them. Names are ended by NUL, and one may serve as the end of another.
bool mentions(const DynamicSection& dynamic, std::string_view name) {
  std::string wanted(name);
  wanted += '\0';
  return dynamic.names.find(wanted) != std::string_view::npos;
}

// Whether ld.so is to find the program's __libc_start_main: a program with one of its own has no
// relocation for it, or one that leads to itself, and the agent would never be asked.
bool imports_start(const MappedFile& file, const DynamicSection& dynamic) {
  constexpr std::string_view kStart{"__libc_start_main\0", 18};
  for (const std::string_view table : dynamic.relocations) {
    for (std::size_t at = 0; at + sizeof(Elf64_Rela) <= table.size(); at += sizeof(Elf64_Rela)) {
      Elf64_Rela relocation;
      std::memcpy(&relocation, table.data() + at, sizeof relocation);
      const std::uint64_t index = ELF64_R_SYM(relocation.r_info);
      Elf64_Sym symbol;
      if (index == 0 || !file.read(dynamic.symbols + index * sizeof symbol, symbol) ||
          symbol.st_name >= dynamic.names.size()) {
        continue;
      }
      if (!dynamic.names.substr(symbol.st_name).starts_with(kStart)) continue;
      return symbol.st_shndx == SHN_UNDEF;
    }
  }
  return false;
}

// The directories of a search path, with $ORIGIN replaced. False if it contains anything else that
// ld.so would replace, or a relative name.
bool split_search_path(std::string_view text, const std::string& origin,
                       std::vector<std::string>& out) {
  if (text.ends_with(':')) return false;  // an empty name: the current directory
  while (!text.empty()) {
    const auto colon = text.find(':');
    std::string directory(text.substr(0, colon));
    text = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
    for (const std::string_view token : {"${ORIGIN}", "$ORIGIN"}) {
      const auto at = directory.find(token);
      if (at != std::string::npos) directory.replace(at, token.size(), origin);
    }
    if (!directory.starts_with('/') || directory.find('$') != std::string::npos) return false;
    out.push_back(std::move(directory));
  }
  return true;
}

// $ORIGIN: the directory of the file that `path` leads to in the end.
std::string origin_of(const char* path) {
  char* real = ::realpath(path, nullptr);
  std::string origin = real == nullptr ? path : real;
  std::free(real);
  return origin.substr(0, origin.rfind('/'));
}

// Files under /proc that say nothing about a parent.
constexpr std::string_view kProcWithoutParent[] = {
    "self/fd", "self/maps", "self/exe",    "self/mount", "sys/",    "net/",
    "cpuinfo", "meminfo",   "filesystems", "mounts",     "loadavg", "version"};

// Whether the program has names of other files under /proc in it, from which it might learn its
// parent.
// Large programs are believed capable of anything.
bool names_proc(const MappedFile& file, off_t size) {
  constexpr off_t kLarge = 2 << 20;
  if (size > kLarge) return true;
  auto bytes = file.at(0, static_cast<std::uint64_t>(size));
  constexpr std::string_view kProc = "/proc/";
  while (const void* at = ::memmem(bytes.data(), bytes.size(), kProc.data(), kProc.size())) {
    bytes.remove_prefix(static_cast<std::size_t>(static_cast<const char*>(at) - bytes.data()) +
                        kProc.size());
    bool harmless = false;
    for (const auto name : kProcWithoutParent) harmless = harmless || bytes.starts_with(name);
    if (!harmless) return true;
  }
  return false;
}

Reason check_open_file(const char* path, int fd, const struct stat& s, Eligibility& result) {
  if (!S_ISREG(s.st_mode) || (s.st_mode & 0111) == 0) return Reason::not_a_file;
  if ((s.st_mode & (S_ISUID | S_ISGID)) != 0) return Reason::set_id;
  if (::fgetxattr(fd, "security.capability", nullptr, 0) > 0) return Reason::set_id;
  const MappedFile file(fd, static_cast<std::size_t>(s.st_size));
  if (!file.valid()) return Reason::unreadable;
  if (const Reason r = check_elf(file); r != Reason::none) return r;
  const DynamicSection dynamic = read_dynamic(file);
  if (!dynamic.found) return Reason::static_program;
  if (!imports_start(file, dynamic)) return Reason::unusual_entry;
  if (dynamic.search_path != 0 && dynamic.search_path < dynamic.names.size()) {
    const char* text = dynamic.names.data() + dynamic.search_path;
    const std::string_view whole(text, ::strnlen(text, dynamic.names.size() - dynamic.search_path));
    if (!split_search_path(whole, origin_of(path), result.search_directories)) {
      return Reason::own_search_path;
    }
  }
  result.asks_parent = mentions(dynamic, "getppid") || names_proc(file, s.st_size) ||
                       dynamic.names.find("libproc") != std::string_view::npos;
  return Reason::none;
}

}  // namespace

Eligibility check_program(const char* path, const char* more_directories) {
  Eligibility result;
  const auto name = base_name(path);
  if (path[0] != '/' || std::string_view(path).find("/../") != std::string_view::npos) {
    result.reason = Reason::untrusted_directory;
    return result;
  }
  if (contains(kDenied, name)) {
    result.reason = Reason::denied;
    return result;
  }
  if (!is_installed_software(path, more_directories)) {
    result.reason = Reason::untrusted_directory;
    return result;
  }
  const os::Fd fd(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat s;
  if (!fd.valid() || ::fstat(fd.get(), &s) != 0) {
    result.reason = errno == ENOENT ? Reason::not_found : Reason::unreadable;
    return result;
  }
  result.identity = os::FileIdentity::of(s);
  result.reason = check_open_file(path, fd.get(), s, result);
  if (contains(kExecIsolated, name)) result.isolation = Isolation::exec;
  return result;
}

bool has_own_search_path(const char* path) {
  const os::Fd fd(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat s;
  if (!fd.valid() || ::fstat(fd.get(), &s) != 0 || !S_ISREG(s.st_mode)) return true;
  const MappedFile file(fd.get(), static_cast<std::size_t>(s.st_size));
  return !file.valid() || read_dynamic(file).search_path != 0;
}

bool identify_file(const char* path, os::FileIdentity& identity) {
  struct stat s;
  if (::stat(path, &s) != 0) return false;
  identity = os::FileIdentity::of(s);
  return true;
}

}  // namespace prewarm::park
