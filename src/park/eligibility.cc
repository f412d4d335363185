// SPDX-License-Identifier: MIT
#include "park/eligibility.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "os/fd.h"

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

#if defined(__x86_64__)
constexpr std::string_view kInterpreter = "/lib64/ld-linux-x86-64.so.2";
constexpr Elf64_Half kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr std::string_view kInterpreter = "/lib/ld-linux-aarch64.so.1";
constexpr Elf64_Half kMachine = EM_AARCH64;
#endif

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

// A file mapped for reading, as long as this lives.
class MappedFile {
 public:
  MappedFile(int fd, std::size_t size) : size_(size) {
    void* at = size == 0 ? MAP_FAILED : ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    bytes_ = at == MAP_FAILED ? nullptr : static_cast<const char*>(at);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile() {
    if (bytes_ != nullptr) ::munmap(const_cast<char*>(bytes_), size_);
  }
  bool valid() const { return bytes_ != nullptr; }
  std::string_view at(std::uint64_t offset, std::uint64_t size) const {
    if (offset > size_ || size > size_ - offset) return {};
    return {bytes_ + offset, size};
  }
  template <class T>
  bool read(std::uint64_t offset, T& value) const {
    const auto bytes = at(offset, sizeof value);
    if (bytes.size() != sizeof value) return false;
    std::memcpy(&value, bytes.data(), sizeof value);
    return true;
  }

 private:
  const char* bytes_ = nullptr;
  std::size_t size_;
};

// The agent holds a program by taking the place of __libc_start_main. A program that doesn't get
// to main that way would simply run when parked, so its entry point must be glibc's own start-up
// code (crt1.o), which does nothing but call it.
bool enters_through_libc(std::string_view code) {
#if defined(__x86_64__)
  // xor %ebp,%ebp; mov %rdx,%r9; pop %rsi; mov %rsp,%rdx; and $-16,%rsp; push %rax; push %rsp
  constexpr std::string_view kStart =
      "\x31\xed\x49\x89\xd1\x5e\x48\x89\xe2\x48\x83\xe4\xf0\x50\x54";
  constexpr std::string_view kEndbr = "\xf3\x0f\x1e\xfa";
#elif defined(__aarch64__)
  // mov x29,#0; mov x30,#0; mov x5,x0
  constexpr std::string_view kStart = "\x1d\x00\x80\xd2\x1e\x00\x80\xd2\xe5\x03\x00\xaa";
  constexpr std::string_view kEndbr = "\x5f\x24\x03\xd5";
#endif
  if (code.starts_with(kEndbr)) code.remove_prefix(kEndbr.size());
  return code.starts_with(kStart);
}

Reason check_elf(const MappedFile& file) {
  Elf64_Ehdr header;
  if (!file.read(0, header)) return Reason::not_elf;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return Reason::not_elf;
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != kMachine) {
    return Reason::wrong_machine;
  }
  if (header.e_phentsize != sizeof(Elf64_Phdr)) return Reason::not_elf;
  bool interpreted = false;
  bool entry_seen = false;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr p;
    if (!file.read(header.e_phoff + i * sizeof p, p)) return Reason::not_elf;
    if (p.p_type == PT_INTERP) {
      auto name = file.at(p.p_offset, p.p_filesz);
      while (name.ends_with('\0')) name.remove_suffix(1);
      if (name != kInterpreter) return Reason::foreign_libc;
      interpreted = true;
    }
    if (p.p_type == PT_LOAD && header.e_entry >= p.p_vaddr &&
        header.e_entry - p.p_vaddr < p.p_filesz) {
      const std::uint64_t into = header.e_entry - p.p_vaddr;
      const auto rest = std::min<std::uint64_t>(p.p_filesz - into, 64);
      if (!enters_through_libc(file.at(p.p_offset + into, rest))) return Reason::unusual_entry;
      entry_seen = true;
    }
  }
  if (!interpreted) return Reason::static_program;
  return entry_seen ? Reason::none : Reason::unusual_entry;
}

// Where a virtual address lies in the file; 0 if nowhere.
std::uint64_t file_offset(const MappedFile& file, const Elf64_Ehdr& header, std::uint64_t address) {
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr p;
    if (!file.read(header.e_phoff + i * sizeof p, p)) return 0;
    if (p.p_type == PT_LOAD && address >= p.p_vaddr && address - p.p_vaddr < p.p_filesz) {
      return p.p_offset + (address - p.p_vaddr);
    }
  }
  return 0;
}

struct DynamicSection {
  bool found = false;
  std::uint64_t symbols = 0;        // where they start in the file
  std::string_view relocations[2];  // of data, and of calls
  std::uint64_t search_path = 0;    // DT_RPATH or DT_RUNPATH: where it starts in `names`; 0: none
  std::string_view names;           // of symbols, among others
};

DynamicSection read_dynamic(const MappedFile& file) {
  DynamicSection result;
  Elf64_Ehdr header;
  if (!file.read(0, header)) return result;
  std::uint64_t strings = 0;
  std::uint64_t size = 0;
  std::uint64_t tables[2] = {};
  std::uint64_t table_sizes[2] = {};
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr p;
    if (!file.read(header.e_phoff + i * sizeof p, p)) return result;
    if (p.p_type != PT_DYNAMIC) continue;
    Elf64_Dyn d{};
    for (std::uint64_t at = 0; at + sizeof d <= p.p_filesz; at += sizeof d) {
      if (!file.read(p.p_offset + at, d) || d.d_tag == DT_NULL) break;
      if (d.d_tag == DT_STRTAB) strings = file_offset(file, header, d.d_un.d_ptr);
      if (d.d_tag == DT_STRSZ) size = d.d_un.d_val;
      if (d.d_tag == DT_SYMTAB) result.symbols = file_offset(file, header, d.d_un.d_ptr);
      if (d.d_tag == DT_RELA) tables[0] = file_offset(file, header, d.d_un.d_ptr);
      if (d.d_tag == DT_RELASZ) table_sizes[0] = d.d_un.d_val;
      if (d.d_tag == DT_JMPREL) tables[1] = file_offset(file, header, d.d_un.d_ptr);
      if (d.d_tag == DT_PLTRELSZ) table_sizes[1] = d.d_un.d_val;
      if (d.d_tag == DT_RPATH || d.d_tag == DT_RUNPATH) result.search_path = d.d_un.d_val;
    }
  }
  for (int i = 0; i < 2; ++i) result.relocations[i] = file.at(tables[i], table_sizes[i]);
  result.names = file.at(strings, size);
  result.found = strings != 0 && !result.names.empty();
  return result;
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

void fill_identity(const struct stat& s, FileIdentity& identity) {
  // The agent fills the same fields from statx; device numbers are split the same way.
  identity.device = (std::uint64_t{major(s.st_dev)} << 32) | minor(s.st_dev);
  identity.inode = s.st_ino;
  identity.size = static_cast<std::uint64_t>(s.st_size);
  identity.modified_ns = s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec;
  identity.changed_ns = s.st_ctim.tv_sec * 1000000000 + s.st_ctim.tv_nsec;
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
  fill_identity(s, result.identity);
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

bool identify_file(const char* path, FileIdentity& identity) {
  struct stat s;
  if (::stat(path, &s) != 0) return false;
  fill_identity(s, identity);
  return true;
}

bool has_loader_variables(char* const* env) {
  for (; *env != nullptr; ++env) {
    const char* e = *env;
    if (e[0] == 'L' && e[1] == 'D' && e[2] == '_') return true;
    if (e[0] == 'M' && std::strncmp(e, "MALLOC_", 7) == 0) return true;
    if (e[0] == 'G' && std::strncmp(e, "GLIBC_TUNABLES=", 15) == 0) return true;
  }
  return false;
}

}  // namespace prewarm::park
