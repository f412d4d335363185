// SPDX-License-Identifier: MIT
//
// What ran before main: which environment variables were asked for, which fork handlers were
// registered, which files are mapped. Restrictions: see agent.h.
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <linux/stat.h>

#include "park/agent.h"

extern "C" char** environ;

namespace prewarm::agent {
namespace {

constexpr unsigned kMaxNames = 192;
constexpr unsigned kMaxNameBytes = 4096;
char name_bytes[kMaxNameBytes];
unsigned name_bytes_used;
unsigned name_count;
bool names_overflowed;

struct ForkHandlers {
  void (*prepare)();
  void (*parent)();
  void (*child)();
};
constexpr unsigned kMaxForkHandlers = 32;
ForkHandlers fork_handlers[kMaxForkHandlers];
unsigned fork_handler_count;

const char* find(char** env, const char* name, std::size_t n) {
  if (env == nullptr) return nullptr;
  for (char** e = env; *e != nullptr; ++e) {
    std::size_t i = 0;
    while (i < n && (*e)[i] == name[i] && (*e)[i] != '\0') ++i;
    if (i == n && (*e)[n] == '=') return *e + n + 1;
  }
  return nullptr;
}

bool already_recorded(const char* name, std::size_t n) {
  const char* at = name_bytes;
  for (unsigned i = 0; i < name_count; ++i) {
    const std::size_t m = length(at);
    if (m == n) {
      std::size_t j = 0;
      while (j < n && at[j] == name[j]) ++j;
      if (j == n) return true;
    }
    at += m + 1;
  }
  return false;
}

void record(const char* name, std::size_t n) {
  if (already_recorded(name, n)) return;
  if (name_count == kMaxNames || name_bytes_used + n + 1 > kMaxNameBytes) {
    names_overflowed = true;
    return;
  }
  copy(name_bytes + name_bytes_used, name, n);
  name_bytes[name_bytes_used + n] = '\0';
  name_bytes_used += static_cast<unsigned>(n + 1);
  ++name_count;
}

struct Writer {
  char* at;
  char* end;
  bool full;
};

void put(Writer& w, park::ManifestKind kind, const os::FileIdentity& identity, const char* text,
         std::size_t n, const char* more, std::size_t more_n) {
  const std::size_t size = (sizeof(park::ManifestRecord) + n + more_n + 7) & ~std::size_t{7};
  if (static_cast<std::size_t>(w.end - w.at) < size) {
    w.full = true;
    return;
  }
  auto* r = reinterpret_cast<park::ManifestRecord*>(w.at);
  r->kind = kind;
  r->text_size = static_cast<std::uint32_t>(n + more_n);
  r->identity = identity;
  char* to = w.at + sizeof(park::ManifestRecord);
  copy(to, text, n);
  copy(to + n, more, more_n);
  w.at += size;
}

bool put_file(Writer& w, const char* path) {
  struct statx s;
  if (os::raw_syscall(SYS_statx, AT_FDCWD, os::arg(path), 0, STATX_BASIC_STATS, os::arg(&s)) != 0) {
    return false;
  }
  put(w, park::ManifestKind::file, os::FileIdentity::of(s), path, length(path), "", 0);
  return true;
}

// Its identity, or that it isn't there.
void put_watched(void* writer, const char* path) {
  auto& w = *static_cast<Writer*>(writer);
  if (put_file(w, path)) return;
  put(w, park::ManifestKind::missing, {}, path, length(path), "", 0);
}

bool ends_with(const char* s, const char* suffix) {
  const std::size_t n = length(s);
  const std::size_t m = length(suffix);
  if (n < m) return false;
  for (std::size_t i = 0; i < m; ++i) {
    if (s[n - m + i] != suffix[i]) return false;
  }
  return true;
}

int put_object(dl_phdr_info* info, std::size_t, void* data) {
  auto& w = *static_cast<Writer*>(data);
  // The program itself has an empty name here and is identified by whoever parks it; the vDSO has
  // no file; the agent is ours.
  if (info->dlpi_name == nullptr || info->dlpi_name[0] != '/') return 0;
  if (ends_with(info->dlpi_name, kAgentName)) return 0;
  return put_file(w, info->dlpi_name) ? 0 : 1;
}

char** current_environment() { return state.environment != nullptr ? state.environment : environ; }

bool is_independent_of(const char* name) {
  if (state.ready == nullptr || state.ready->independent == nullptr) return false;
  for (const char* const* other = state.ready->independent; *other != nullptr; ++other) {
    const std::size_t n = length(*other);
    if (starts_with(name, *other) && name[n] == '\0') return true;
  }
  return false;
}

void put_variables(Writer& w) {
  // What the program's main has set itself it would set again.
  char** const env = state.ready != nullptr ? state.start_environment : current_environment();
  const char* name = name_bytes;
  for (unsigned i = 0; i < name_count; ++i) {
    const std::size_t n = length(name);
    const char* value = find(env, name, n);
    if (is_independent_of(name)) {
      // It was asked for, but nothing came of it.
    } else if (value == nullptr) {
      put(w, park::ManifestKind::variable, {}, name, n, "", 0);
    } else {
      // The value stands in the environment right behind the name and its equals sign.
      put(w, park::ManifestKind::variable, {}, name, n, value - 1, length(value) + 1);
    }
    name += n + 1;
  }
}

// What a program says that its ready point depends on.
void put_ready_point(Writer& w, const prewarm_ready_launch& ready) {
  for (const char* const* file = ready.files; file != nullptr && *file != nullptr; ++file) {
    put_watched(&w, *file);
  }
  for (const char* const* name = ready.variables; name != nullptr && *name != nullptr; ++name) {
    record(*name, length(*name));
  }
}

}  // namespace

bool write_manifest(bool initialised) {
  char* start = state.manifest;
  Writer w{start, start + park::kManifestBytes, false};
  if (state.ready != nullptr) put_ready_point(w, *state.ready);
  if (names_overflowed) return false;
  if (dl_iterate_phdr(put_object, &w) != 0) return false;
  // A library found by another path tomorrow is a change, too.
  put_file(w, "/etc/ld.so.cache");
  each_locale_file(put_watched, &w);
  if (initialised) put_file(w, kOpensslConfiguration);
  put_variables(w);
  state.program->manifest_used = static_cast<std::uint32_t>(w.at - start);
  return !w.full;
}

bool fork_handlers_are_known() { return fork_handler_count <= kMaxForkHandlers; }

void run_prepare_handlers() {
  for (unsigned i = fork_handler_count; i-- > 0;) {
    if (fork_handlers[i].prepare != nullptr) fork_handlers[i].prepare();
  }
}
void run_parent_handlers() {
  for (unsigned i = 0; i < fork_handler_count; ++i) {
    if (fork_handlers[i].parent != nullptr) fork_handlers[i].parent();
  }
}
void run_child_handlers() {
  for (unsigned i = 0; i < fork_handler_count; ++i) {
    if (fork_handlers[i].child != nullptr) fork_handlers[i].child();
  }
}

}  // namespace prewarm::agent

#define PREWARM_EXPORT extern "C" __attribute__((visibility("default")))

// The same answers as libc's, but until main every question is noted; and what is in the
// environment for the agent's sake is not there for anybody else.
PREWARM_EXPORT char* getenv(const char* name) {
  using namespace prewarm::agent;
  const std::size_t n = length(name);
  if (n == 0) return nullptr;
  // There for our sake only, as long as main hasn't been entered: with a preload of the user's own
  // nothing is parked.
  const bool ours = (starts_with(name, "LD_PRELOAD") && n == 10) ||
                    (starts_with(name, kParkVariable) && n == sizeof kParkVariable - 1);
  if (ours && !state.released && !state.in_main) return nullptr;
  const bool of_ready_point = starts_with(name, kReadyVariable) && n == sizeof kReadyVariable - 1;
  if (!state.released && !of_ready_point) record(name, n);
  return const_cast<char*>(find(current_environment(), name, n));
}

PREWARM_EXPORT char* secure_getenv(const char* name) {
  // A program with raised privileges is never parked, so the two are the same here.
  return getenv(name);
}

PREWARM_EXPORT int __register_atfork(void (*prepare)(), void (*parent)(), void (*child)(),
                                     void* dso) {
  using namespace prewarm::agent;
  if (fork_handler_count < kMaxForkHandlers) {
    fork_handlers[fork_handler_count] = {prepare, parent, child};
  }
  ++fork_handler_count;
  using Register = int (*)(void (*)(), void (*)(), void (*)(), void*);
  auto real = reinterpret_cast<Register>(dlsym(RTLD_NEXT, "__register_atfork"));
  return real == nullptr ? 12 /* ENOMEM */ : real(prepare, parent, child, dso);
}
