// SPDX-License-Identifier: GPL-3.0-or-later
//
// The loadable's ways in: preloaded into bash by `prewarm run`, or loaded by a script with
// `enable -f prewarm shopt`, after which `shopt -s prewarm_pids` is the switch.
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>

#include "bash/front.h"
#include "bash/originals.h"
#include "bash/scan.h"

namespace prewarm::bash {
namespace {

bool hooks_installed;

bool prepare(const launch::Settings& settings) {
  if (!hooks_installed) hooks_installed = install_hooks();
  if (hooks_installed && !front().prepared()) {
    front().start(settings);
    std::atexit([] { front().at_exit(); });
  }
  return hooks_installed;
}

// Takes `name` out of the environment that bash is about to read, without libc: bash has its own
// setenv, which changes shell variables. Returns its value, or null.
char* take_variable(const char* name) {
  const std::size_t n = std::strlen(name);
  char** to = environ;
  char* value = nullptr;
  for (char** from = environ; *from != nullptr; ++from) {
    if (std::strncmp(*from, name, n) == 0 && (*from)[n] == '=') {
      value = *from + n + 1;
      continue;
    }
    *to++ = *from;
  }
  *to = nullptr;
  return value;
}

// Takes our own entry, the first, out of LD_PRELOAD, and the variable with it if it was the only
// one.
void strip_preload() {
  for (char** e = environ; *e != nullptr; ++e) {
    if (std::strncmp(*e, "LD_PRELOAD=", 11) != 0) continue;
    char* value = *e + 11;
    char* rest = std::strpbrk(value, ": ");
    if (rest == nullptr) {
      take_variable("LD_PRELOAD");
    } else {
      std::memmove(value, rest + 1, std::strlen(rest + 1) + 1);
    }
    return;
  }
}

// The file that this loadable was loaded from.
std::string own_file() {
  Dl_info info;
  if (::dladdr(reinterpret_cast<void*>(&own_file), &info) == 0) return {};
  return info.dli_fname;
}

__attribute__((constructor)) void begin() {
  if (const char* scan = take_variable(launch::kScanVariable)) {
    strip_preload();
    look(std::atoi(scan));
    return;
  }
  const char* text = take_variable(launch::Settings::kVariable);
  if (text == nullptr) return;
  strip_preload();
  if (!prepare(launch::Settings::from_text(text))) return;
  front().enable(true);
  front().begin_ahead(own_file());
}

}  // namespace
}  // namespace prewarm::bash
