// SPDX-License-Identifier: MIT
//
// State of the C library that code before main, or a process that was started ahead of time, could
// leave behind: errno, floating point, random numbers, locale, time zone, heap.
#include <dlfcn.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <malloc.h>
#include <time.h>
#include <unistd.h>

#include <cfenv>
#include <cstdlib>
#include <cstring>
#include <cwchar>
#include <string>

#include "observe.h"
#include "proc.h"

namespace mirror {
namespace {

std::string local_time(time_t moment) {
  tm fields{};
  char text[64] = "";
  if (localtime_r(&moment, &fields) == nullptr) return error_text(errno);
  const std::size_t length = strftime(text, sizeof text, "%F %T %z %Z", &fields);
  return escape({text, length});
}

const char* or_null(const char* text) { return text != nullptr ? text : "(null)"; }

#ifndef MIRROR_STATIC
void observe_loader(Report& report) {
  report.add("loader.dlerror", or_null(dlerror()));
  // A harmless library of the tests, put into LD_PRELOAD by some contexts, defines this.
  report.add_yes_no("loader.test_preload", dlsym(RTLD_DEFAULT, "mirror_preload_mark") != nullptr);
  void* const self = dlopen(nullptr, RTLD_NOW);
  report.add_yes_no("loader.opens_itself", self != nullptr);
  void* const library = dlopen("libresolv.so.2", RTLD_NOW | RTLD_LOCAL);
  report.add_yes_no("loader.opens_library", library != nullptr);
  report.add_yes_no("loader.finds_symbol",
                    library != nullptr && dlsym(library, "ns_get16") != nullptr);
  if (library != nullptr) dlclose(library);
}
#else
void observe_loader(Report&) {}
#endif

// GLIBC_TUNABLES=glibc.malloc.perturb=N fills new memory with one byte; without it, what is in new
// memory isn't worth comparing. Too large for the per-thread cache, which doesn't fill.
std::string fill_byte() {
  constexpr std::size_t size = 3000;
  constexpr std::size_t links = 32;  // malloc's own, left over in recycled memory
  // What is given back here is what the next call gets: not uniform, unless it is filled.
  auto* memory = static_cast<volatile unsigned char*>(std::malloc(size));
  if (memory == nullptr) return error_text(errno);
  for (std::size_t i = 0; i < size; ++i) memory[i] = static_cast<unsigned char>(i);
  std::free(const_cast<unsigned char*>(memory));
  memory = static_cast<volatile unsigned char*>(std::malloc(size));
  if (memory == nullptr) return error_text(errno);
  bool uniform = memory[links] != 0;
  for (std::size_t i = links; i < size; ++i) uniform = uniform && memory[i] == memory[links];
  std::string text = uniform ? hexadecimal(memory[links]) : "none";
  std::free(const_cast<unsigned char*>(memory));
  return text;
}

bool heap_works() {
  for (std::size_t size = 1; size <= std::size_t{1} << 20U; size *= 4) {
    auto* const block = static_cast<char*>(std::malloc(size));
    if (block == nullptr) return false;
    std::memset(block, 'x', size);
    auto* const larger = static_cast<char*>(std::realloc(block, size * 2));
    const bool kept = larger != nullptr && larger[0] == 'x' && larger[size - 1] == 'x';
    std::free(larger != nullptr ? larger : block);
    if (!kept) return false;
  }
  return true;
}

// The break must be where the kernel says that the heap ends.
std::string break_text() {
  const auto mappings = read_mappings();
  if (mappings.empty()) return "unknown, no mappings";
  const auto current = reinterpret_cast<std::uintptr_t>(sbrk(0));
  // In a process that was forked the part that was added since shows as a mapping of its own.
  bool found = false;
  for (const auto& mapping : mappings) {
    if (mapping.name != "[heap]") continue;
    found = true;
    if (current == mapping.end) return "end of [heap]";
  }
  return found ? "not the end of [heap]" : "no [heap]";
}

}  // namespace

void observe_libc(Report& report, const Start& start) {
  report.add_number("libc.errno_at_main", start.errno_at_main);
  report.add("libc.x87_control_word", hexadecimal(start.x87_control_word));
  report.add("libc.sse_control_word", hexadecimal(start.sse_control_word));
  report.add_number("libc.rounding", std::fegetround());
  report.add_number("libc.first_rand", std::rand());
  report.add_number("libc.first_random", random());
  report.add_number("libc.first_lrand48", lrand48());
  report.add_number("libc.optind", optind);
  report.add("libc.time_0", local_time(0));
  report.add("libc.time_1750000000", local_time(1750000000));
  report.add("libc.timezone_names", escape(std::string(tzname[0]) + " " + tzname[1]));
  observe_loader(report);
}

void observe_locale(Report& report) {
  report.add("locale.initial", or_null(setlocale(LC_ALL, nullptr)));
  report.add("locale.initial_codeset", nl_langinfo(CODESET));
  report.add_yes_no("locale.initial_is_global", uselocale(nullptr) == LC_GLOBAL_LOCALE);
  report.add("locale.set", escape(or_null(setlocale(LC_ALL, ""))));
  report.add("locale.codeset", nl_langinfo(CODESET));
  report.add("locale.decimal_point", escape(localeconv()->decimal_point));
  report.add_number("locale.mb_cur_max", static_cast<long long>(MB_CUR_MAX));
  report.add_number("locale.e_acute_length", std::mblen("\xc3\xa9", 2));
  report.add("locale.error_text", escape(std::strerror(ENOENT)));
  report.add("locale.date", escape(nl_langinfo(D_T_FMT)));
  report.add("locale.messages", or_null(setlocale(LC_MESSAGES, nullptr)));
}

void observe_memory(Report& report) {
  report.add("heap.fill_byte", fill_byte());
  report.add_yes_no("heap.works", heap_works());
  report.add("heap.break", break_text());
}

}  // namespace mirror
