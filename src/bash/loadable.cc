// SPDX-License-Identifier: GPL-3.0-or-later
//
// The loadable's ways in: preloaded into bash by `prewarm run`, or loaded by a script with
// `enable -f prewarm shopt`, after which `shopt -s prewarm_pids` is the switch.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bash/front.h"
#include "bash/originals.h"
#include "bash/scan.h"
#include "park/part.h"

namespace prewarm::bash {
namespace {

PREWARM_PART(park::Part::loadable);

bool hooks_installed;

bool prepare(const launch::Settings& settings) {
  // The hooks rely on how this version works inside.
  if (std::strcmp(dist_version, "5.2") != 0) return false;
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

void take_over_shopt();

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
  const launch::Settings settings = launch::Settings::from_text(text);
  if (!prepare(settings)) {
    if (settings.stats) {
      ::dprintf(2, "prewarm: not warmed: %s\n",
                launch::reason_text(launch::Reason::unsupported_bash));
    }
    return;
  }
  take_over_shopt();
  front().enable(true);
  front().begin_ahead(own_file());
}

// ---- shopt ------------------------------------------------------------------------------------

constexpr char kOption[] = "prewarm_pids";

// What the arguments of a shopt call ask about our option.
struct Call {
  bool set = false;
  bool unset = false;
  bool quiet = false;
  bool print = false;
  bool other_options = false;  // -o or one that shopt doesn't know
  bool names = false;          // any name is given
  bool ours = false;           // our option is among them
};

Call read_call(const WORD_LIST* list) {
  Call call;
  bool options = true;
  for (; list != nullptr; list = list->next) {
    const char* word = list->word->word;
    if (options && word[0] == '-' && word[1] != '\0') {
      if (std::strcmp(word, "--") == 0) {
        options = false;
        continue;
      }
      for (const char* c = word + 1; *c != '\0'; ++c) {
        if (*c == 's')
          call.set = true;
        else if (*c == 'u')
          call.unset = true;
        else if (*c == 'q')
          call.quiet = true;
        else if (*c == 'p')
          call.print = true;
        else
          call.other_options = true;
      }
      continue;
    }
    options = false;
    call.names = true;
    if (std::strcmp(word, kOption) == 0) call.ours = true;
  }
  return call;
}

// The arguments without our option's name.
WORD_LIST* without_ours(const WORD_LIST* list) {
  WORD_LIST* copy = copy_word_list(const_cast<WORD_LIST*>(list));
  for (WORD_LIST** at = &copy; *at != nullptr;) {
    WORD_LIST* w = *at;
    if (std::strcmp(w->word->word, kOption) != 0) {
      at = &w->next;
      continue;
    }
    *at = w->next;
    w->next = nullptr;
    dispose_words(w);
  }
  return copy;
}

void print_option(bool as_command) {
  const bool on = front().enabled();
  if (as_command) {
    std::printf("shopt -%c %s\n", on ? 's' : 'u', kOption);
  } else {
    // The form of bash's own lines (builtins/shopt.def).
    std::printf("%-20s\t%s\n", kOption, on ? "on" : "off");
  }
}

int apply(const Call& call) {
  if (call.set || call.unset) {
    if (call.set && !prepare({})) {
      builtin_error("%s: %s", kOption, launch::reason_text(launch::Reason::unsupported_bash));
      return EXECUTION_FAILURE;
    }
    front().enable(call.set);
    return EXECUTION_SUCCESS;
  }
  if (!call.quiet) print_option(call.print);
  return front().enabled() ? EXECUTION_SUCCESS : EXECUTION_FAILURE;
}

// Whether listings name our option: where the script asked for it by loading us. Under `prewarm
// run` shopt answers as it does in every bash.
bool listed;

// shopt as bash knows it, and one option more.
int shopt_with_option(WORD_LIST* list) {
  const Call call = read_call(list);
  if (call.other_options || (call.set && call.unset)) return shopt_builtin(list);
  if (!call.names) {
    const int status = shopt_builtin(list);
    const bool wanted = call.set ? front().enabled() : call.unset ? !front().enabled() : true;
    if (listed && wanted && !call.quiet) print_option(call.print);
    return status;
  }
  if (!call.ours) return shopt_builtin(list);
  WORD_LIST* others = without_ours(list);
  const bool any_others = read_call(others).names;
  const int status = any_others ? shopt_builtin(others) : EXECUTION_SUCCESS;
  dispose_words(others);
  const int own = apply(call);
  return status != EXECUTION_SUCCESS ? status : own;
}

struct builtin* find_shopt() {
  for (int i = 0; i < num_shell_builtins; ++i) {
    struct builtin& b = shell_builtins[i];
    if (b.name != nullptr && std::strcmp(b.name, "shopt") == 0) return &b;
  }
  return nullptr;
}

// Under `prewarm run` nobody loads anything, but the script may use the option.
void take_over_shopt() {
  if (struct builtin* own = find_shopt()) own->function = shopt_with_option;
}

}  // namespace
}  // namespace prewarm::bash

#define PREWARM_EXPORT __attribute__((visibility("default")))

// `enable -f prewarm shopt` looks for these names.
extern "C" {
PREWARM_EXPORT struct builtin shopt_struct = {const_cast<char*>("shopt"),
                                              prewarm::bash::shopt_with_option,
                                              BUILTIN_ENABLED,
                                              nullptr,
                                              "shopt [-pqsu] [-o] [optname ...]",
                                              nullptr};

PREWARM_EXPORT int shopt_builtin_load(char*) {
  using namespace prewarm::bash;
  listed = true;
  // bash's own help text stays.
  if (const struct builtin* own = find_shopt()) {
    shopt_struct.long_doc = own->long_doc;
    shopt_struct.short_doc = own->short_doc;
  }
  return 1;
}
}
