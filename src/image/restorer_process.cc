// SPDX-License-Identifier: MIT
#include "image/restorer_process.h"

#include "image/plain_text.h"

namespace prewarm::image {
namespace {

const char* find(const char* text, const char* part) {
  for (; *text != '\0'; ++text) {
    if (begins_with(text, part)) return text;
  }
  return nullptr;
}

// Reads a decimal number and steps over it. False if there is none, or it is too large.
bool read_number(const char*& text, std::uint64_t& number) {
  if (*text < '0' || *text > '9') return false;
  constexpr std::uint64_t kLargest = 1ULL << 40;
  for (number = 0; *text >= '0' && *text <= '9'; ++text) {
    number = number * 10 + static_cast<std::uint64_t>(*text - '0');
    if (number > kLargest) return false;
  }
  return true;
}

Auxiliary read_auxiliary(Elf64_auxv_t* entries) {
  Auxiliary found;
  found.begin = entries;
  for (;; ++entries) {
    const std::uint64_t value = entries->a_un.a_val;
    switch (entries->a_type) {
      case AT_PHDR:
        found.program_headers = entries;
        break;
      case AT_PHNUM:
        found.header_count = entries;
        break;
      case AT_BASE:
        found.base = entries;
        break;
      case AT_ENTRY:
        found.entry = entries;
        break;
      case AT_SYSINFO_EHDR:
        found.vdso = entries;
        break;
      case AT_RANDOM:
        found.random = value;
        break;
      case AT_PLATFORM:
        found.platform = value;
        break;
      case AT_EXECFN:
        found.file_name = entries;
        break;
      case AT_HWCAP:
        found.hwcap = value;
        break;
      case AT_HWCAP2:
        found.hwcap2 = value;
        break;
      case AT_MINSIGSTKSZ:
        found.signal_stack = value;
        break;
      case AT_CLKTCK:
        found.clock_ticks = value;
        break;
      case AT_SECURE:
        found.secure = value;
        break;
      default:
        break;
    }
    if (entries->a_type == AT_NULL) break;
  }
  found.size = static_cast<std::uint64_t>(reinterpret_cast<char*>(entries + 1) -
                                          reinterpret_cast<char*>(found.begin));
  return found;
}

}  // namespace

InitialStack read_stack(char** argv) {
  InitialStack stack;
  stack.start = reinterpret_cast<std::uint64_t*>(argv) - 1;
  stack.argv = argv;
  stack.environment = argv + *stack.start + 1;
  while (stack.environment[stack.variables] != nullptr) ++stack.variables;
  stack.auxiliary =
      read_auxiliary(reinterpret_cast<Elf64_auxv_t*>(stack.environment + stack.variables + 1));
  return stack;
}

void take_variable(InitialStack& stack) {
  // The auxiliary vector has to follow the environment's end: all of it comes down by a slot.
  char** const last = stack.environment + stack.variables - 1;
  auto* to = reinterpret_cast<std::uint64_t*>(last);
  const auto* from = reinterpret_cast<const std::uint64_t*>(stack.auxiliary.begin) - 1;
  const std::uint64_t words = 1 + stack.auxiliary.size / sizeof(std::uint64_t);
  for (std::uint64_t i = 0; i < words; ++i) to[i] = from[i];
  to[words] = 0;
  stack = read_stack(stack.argv);
}

Descriptors read_descriptors(const InitialStack& stack) {
  Descriptors found;
  if (stack.variables == 0) return found;
  const char* variable = stack.environment[stack.variables - 1];
  if (!begins_with(variable, kAuditVariable)) return found;
  const char* at = find(variable, kAuditMark);
  if (at == nullptr) return found;
  at += sizeof kAuditMark - 1;
  if (!read_number(at, found.context_bytes) || *at != ':') return found;
  int count = 0;
  do {
    ++at;
    std::uint64_t number = 0;
    if (count > static_cast<int>(kMaxMappedFiles) || !read_number(at, number)) return found;
    found.numbers[count++] = static_cast<int>(number);
  } while (*at == ',');
  if (*at == '\0') found.count = count;
  return found;
}

}  // namespace prewarm::image
