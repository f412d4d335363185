// SPDX-License-Identifier: MIT
#include <elf.h>
#include <errno.h>
#include <sys/auxv.h>

#include <cstring>
#include <string>
#include <vector>

#include "observe.h"
#include "proc.h"

namespace mirror {
namespace {

enum class Kind { number, text, address };

struct Entry {
  unsigned long type;
  const char* name;
  Kind kind;
};

constexpr unsigned long at_rseq_feature_size = 27;  // Linux 6.3
constexpr unsigned long at_rseq_align = 28;

constexpr Entry known[] = {
    {AT_PHDR, "phdr", Kind::address},
    {AT_PHENT, "phent", Kind::number},
    {AT_PHNUM, "phnum", Kind::number},
    {AT_PAGESZ, "pagesz", Kind::number},
    {AT_BASE, "base", Kind::address},
    {AT_FLAGS, "flags", Kind::number},
    {AT_ENTRY, "entry", Kind::address},
    {AT_UID, "uid", Kind::number},
    {AT_EUID, "euid", Kind::number},
    {AT_GID, "gid", Kind::number},
    {AT_EGID, "egid", Kind::number},
    {AT_PLATFORM, "platform", Kind::text},
    {AT_HWCAP, "hwcap", Kind::number},
    {AT_CLKTCK, "clktck", Kind::number},
    {AT_SECURE, "secure", Kind::number},
    {AT_BASE_PLATFORM, "base_platform", Kind::text},
    {AT_RANDOM, "random", Kind::address},
    {AT_HWCAP2, "hwcap2", Kind::number},
    {at_rseq_feature_size, "rseq_feature_size", Kind::number},
    {at_rseq_align, "rseq_align", Kind::number},
    {AT_EXECFN, "execfn", Kind::text},
    {AT_SYSINFO_EHDR, "sysinfo_ehdr", Kind::address},
    {AT_MINSIGSTKSZ, "minsigstksz", Kind::number},
};

const Entry* find_known(unsigned long type) {
  for (const auto& entry : known) {
    if (entry.type == type) return &entry;
  }
  return nullptr;
}

const void* pointer(unsigned long value) { return reinterpret_cast<const void*>(value); }

// Addresses differ from run to run; where they point to doesn't.
std::string value_text(const Entry* entry, unsigned long value, const std::vector<Mapping>& maps) {
  if (entry == nullptr || entry->kind == Kind::number) return hexadecimal(value);
  if (value == 0) return "null";
  if (maps.empty()) return "unknown, no mappings";
  const std::string where = mapping_name(maps, pointer(value));
  if (entry->kind == Kind::address || where == "(unmapped)") return "in " + escape(where);
  return digest(static_cast<const char*>(pointer(value))) + " in " + escape(where);
}

void observe_entry(Report& report, const Elf64_auxv_t& item, const std::vector<Mapping>& maps) {
  const Entry* const entry = find_known(item.a_type);
  const std::string key =
      "auxv." + (entry != nullptr ? std::string(entry->name) : "type_" + padded(item.a_type, 3));
  const unsigned long value = item.a_un.a_val;
  report.add(key, value_text(entry, value, maps));
  // libc changes some values for its own use (AT_HWCAP on x86-64): then its own are shown.
  const unsigned long libcs = getauxval(item.a_type);
  report.add(key + ".getauxval", libcs == value ? "the same" : hexadecimal(libcs));
}

// Programs that start without libc's help (Go's runtime, for one) find the auxiliary vector by
// walking past the environment.
bool follows_environment(const Start& start, const std::string& raw) {
  char** end = start.envp;
  while (*end != nullptr) ++end;
  return std::memcmp(end + 1, raw.data(), raw.size()) == 0;
}

}  // namespace

void observe_auxv(Report& report, const Start& start) {
  static_assert(sizeof(void*) == 8, "the mirror knows 64-bit systems only");
  const auto raw = read_file("/proc/self/auxv");
  if (!raw) {
    report.add_error("auxv", errno);
    return;
  }
  const auto maps = read_mappings();
  std::string order;
  for (std::size_t at = 0; at + sizeof(Elf64_auxv_t) <= raw->size(); at += sizeof(Elf64_auxv_t)) {
    Elf64_auxv_t item;
    std::memcpy(&item, raw->data() + at, sizeof item);
    if (item.a_type == AT_NULL) break;
    order += (order.empty() ? "" : " ") + std::to_string(item.a_type);
    observe_entry(report, item, maps);
  }
  report.add("auxv.order", order);
  // Checked only where the array is where the kernel puts it: elsewhere the read might fault.
  const bool on_stack = mapping_name(maps, start.envp) == "[stack]";
  report.add("auxv.follows_environ", !on_stack ? "environ isn't on the stack"
                                     : follows_environment(start, *raw) ? "yes"
                                                                        : "no");
}

}  // namespace mirror
