// SPDX-License-Identifier: MIT
//
// The locale that main will most likely ask for is loaded while parking: it stays loaded inside
// libc, and nothing is set. Here is also what that depends on. Restrictions: see agent.h.
//
// libc remembers as well what it has not found, and says so later without an error number. So
// nothing is loaded unless it looks as if all will be found.
#include <dirent.h>
#include <fcntl.h>
#include <locale.h>

#include "park/agent_memory.h"

extern "C" char** environ;

namespace prewarm::agent {
namespace {

constexpr char kDirectory[] = "/usr/lib/locale";
constexpr char kArchive[] = "/usr/lib/locale/locale-archive";

// The locales that the environment names.
struct Wanted {
  static constexpr unsigned kMost = 16;
  const char* names[kMost];
  bool offered[kMost];
  unsigned count;
};

// The value of `variable` ("NAME=VALUE") if it names a locale, else null.
const char* locale_named_by(const char* variable) {
  if (!starts_with(variable, "LC_") && !starts_with(variable, "LANG=")) return nullptr;
  while (*variable != '\0' && *variable != '=') ++variable;
  return *variable == '=' ? variable + 1 : variable;
}

bool is_built_in(const char* name) {
  return name[0] == '\0' || (starts_with(name, "C") && length(name) == 1) ||
         (starts_with(name, "POSIX") && length(name) == 5);
}

// False: more than there is room for.
bool find_wanted(Wanted& wanted) {
  wanted.count = 0;
  for (char** e = environ; *e != nullptr; ++e) {
    const char* name = locale_named_by(*e);
    if (name == nullptr || is_built_in(name)) continue;
    if (wanted.count == Wanted::kMost) return false;
    wanted.offered[wanted.count] = false;
    wanted.names[wanted.count++] = name;
  }
  return true;
}

bool all_are_offered(const Wanted& wanted) {
  for (unsigned i = 0; i < wanted.count; ++i) {
    if (!wanted.offered[i]) return false;
  }
  return true;
}

// Whether a locale that is called `entry` may serve for `name`: codeset and modifier aside, it is
// the same language and territory, or the language alone.
bool may_serve(const char* entry, const char* name) {
  const auto is_end = [](char c) { return c == '\0' || c == '.' || c == '@'; };
  std::size_t same = 0;
  while (!is_end(entry[same]) && entry[same] == name[same]) ++same;
  return is_end(entry[same]) && (is_end(name[same]) || name[same] == '_');
}

void offer(Wanted& wanted, const char* entry) {
  for (unsigned i = 0; i < wanted.count; ++i) {
    if (may_serve(entry, wanted.names[i])) wanted.offered[i] = true;
  }
}

long open_to_read(const char* path) {
  return os::raw_syscall(SYS_openat, AT_FDCWD, os::arg(path), O_RDONLY | O_CLOEXEC);
}

// The locales of the archive: their names stand one behind the other (glibc's locarchive.h).
void offer_archive(Wanted& wanted) {
  struct {
    std::uint32_t magic, serial;
    std::uint32_t hash_offset, hash_used, hash_size;
    std::uint32_t names_offset, names_used, names_size;
  } head = {};
  const long fd = open_to_read(kArchive);
  if (fd < 0) return;
  if (os::raw_syscall(SYS_read, fd, os::arg(&head), sizeof head) == sizeof head &&
      os::raw_syscall(SYS_lseek, fd, head.names_offset, 0 /* SEEK_SET */) >= 0) {
    each_piece(fd, head.names_used, '\0', [&](const char* name) { offer(wanted, name); });
  }
  os::raw_syscall(SYS_close, fd);
}

// Directories, one for each locale.
void offer_directories(Wanted& wanted) {
  const long fd = open_to_read(kDirectory);
  if (fd < 0) return;
  alignas(dirent) char buffer[2048];
  for (;;) {
    const long n = os::raw_syscall(SYS_getdents64, fd, os::arg(buffer), sizeof buffer);
    if (n <= 0) break;
    for (long at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const dirent*>(buffer + at);
      at += entry->d_reclen;
      if (entry->d_name[0] != '.') offer(wanted, entry->d_name);
    }
  }
  os::raw_syscall(SYS_close, fd);
}

// Whether a mapping is of a file of locale data. The archive stands in the list anyway.
bool is_locale_file(const char* name) {
  if (starts_with(name, kArchive)) return false;
  for (const char* at = name; *at != '\0'; ++at) {
    if (starts_with(at, "/locale/")) return true;
  }
  return false;
}

// Names each directory once.
class Directories {
 public:
  Directories(UseFile use, void* data) : use_(use), data_(data) {}
  void add_directory_of(const char* file) {
    std::size_t n = 0;
    for (std::size_t i = 0; file[i] != '\0'; ++i) {
      if (file[i] == '/') n = i;
    }
    if (n >= sizeof names_[0] || count_ == kMost) return use_(data_, file);
    for (unsigned i = 0; i < count_; ++i) {
      if (length(names_[i]) == n && starts_with(file, names_[i])) return;
    }
    copy(names_[count_], file, n);
    names_[count_][n] = '\0';
    use_(data_, names_[count_++]);
  }

 private:
  static constexpr unsigned kMost = 16;
  UseFile use_;
  void* data_;
  char names_[kMost][128];
  unsigned count_ = 0;
};

bool is_set(const char* variable) {
  for (char** e = environ; *e != nullptr; ++e) {
    if (starts_with(*e, variable)) return true;
  }
  return false;
}

}  // namespace

bool warm_locale() {
  Wanted wanted;
  // LOCPATH is another place to look for locales, which is not known here.
  if (is_set("LOCPATH=") || !find_wanted(wanted)) return true;
  if (wanted.count != 0) offer_directories(wanted);
  if (!all_are_offered(wanted)) offer_archive(wanted);
  if (!all_are_offered(wanted)) return true;
  state.locale = newlocale(LC_ALL_MASK, "", nullptr);
  return state.locale != nullptr;
}

// The directories stand for the files in them, which are looked at before every launch: localedef
// and packages put new files in the place of old ones, and write none in place but the archive.
void each_locale_file(UseFile use, void* data) {
  Wanted wanted;
  if (state.locale == nullptr || !find_wanted(wanted) || wanted.count == 0) return;
  use(data, kDirectory);
  if (os::raw_syscall(SYS_faccessat, AT_FDCWD, os::arg(kArchive), 0) == 0) use(data, kArchive);
  Directories seen(use, data);
  each_mapping([&seen](const Mapping& m) {
    if (is_locale_file(m.name)) seen.add_directory_of(m.name);
  });
}

}  // namespace prewarm::agent
