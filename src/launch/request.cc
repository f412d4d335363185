// SPDX-License-Identifier: MIT
#include "launch/request.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstring>

namespace prewarm::launch {
namespace {

void append(std::vector<char>& bytes, const void* data, std::size_t size) {
  const auto* from = static_cast<const char*>(data);
  bytes.insert(bytes.end(), from, from + size);
}

// execve's own limits (binfmts.h, exec.c): a launch beyond them fails with E2BIG, so it isn't ours.
constexpr std::size_t kMostStringBytes = 131072;  // MAX_ARG_STRLEN, terminator included
constexpr std::size_t kAlwaysFits = 100 * 1024;   // all strings and pointers; the kernel's minimum
                                                  // is ARG_MAX, 128 KiB
constexpr rlim_t kMostStack = 6U << 20;           // three quarters of the default stack limit

// Appends the strings of a null-terminated row, of which there are `count` afterwards. False if one
// is too long for execve.
bool append_strings(std::vector<char>& bytes, char* const* strings, std::uint32_t& count) {
  for (; *strings != nullptr; ++strings, ++count) {
    const std::size_t size = std::strlen(*strings) + 1;
    if (size > kMostStringBytes) return false;
    append(bytes, *strings, size);
  }
  return true;
}

// Whether execve would take this much. Where it is close the answer is no.
bool execve_would_take(std::size_t bytes, std::size_t strings) {
  const std::size_t total = bytes + strings * sizeof(char*);
  if (total <= kAlwaysFits) return true;
  rlimit stack{};
  ::getrlimit(RLIMIT_STACK, &stack);
  const rlim_t limit = std::min(kMostStack, stack.rlim_cur / 4);
  constexpr rlim_t kMargin = 16384;  // path, auxiliary vector, alignment
  return total + kMargin <= limit;
}

std::uint32_t append_text(std::string& text, const std::string& s) {
  const auto offset = static_cast<std::uint32_t>(text.size());
  text.append(s.c_str(), s.size() + 1);
  return offset;
}

bool append_set_up(const LaunchRequest& request, std::vector<char>& bytes, RequestHeader& header) {
  std::string text;
  for (const SetUp& s : request.set_up) {
    Operation op{};
    op.kind = s.kind;
    op.fd = s.fd;
    op.other = s.other;
    op.flags = s.flags;
    op.mode = s.mode;
    if (s.kind == OperationKind::open) {
      op.text = append_text(text, s.path);
      op.error_prefix = append_text(text, s.error_prefix);
    }
    append(bytes, &op, sizeof op);
  }
  header.op_count = static_cast<std::uint32_t>(request.set_up.size());
  header.text_size = static_cast<std::uint32_t>(text.size());
  append(bytes, text.data(), text.size());
  return request.set_up.size() <= kMaxOperations;
}

}  // namespace

bool write_request(const LaunchRequest& request, std::uint32_t generation,
                   std::vector<char>& bytes) {
  if (request.descriptors.size() > kMaxDescriptors) return false;
  bytes.clear();
  RequestHeader header{};
  bytes.resize(sizeof header);
  header.magic = kRequestMagic;
  header.generation = generation;
  header.fd_count = static_cast<std::uint32_t>(request.descriptors.size());
  for (const Descriptor& d : request.descriptors) append(bytes, &d.target, sizeof d.target);
  if (!append_set_up(request, bytes, header)) return false;
  std::size_t before = bytes.size();
  if (!append_strings(bytes, request.argv, header.argc)) return false;
  header.argv_size = static_cast<std::uint32_t>(bytes.size() - before);
  before = bytes.size();
  if (!append_strings(bytes, request.env, header.envc)) return false;
  header.env_size = static_cast<std::uint32_t>(bytes.size() - before);
  if (!execve_would_take(header.argv_size + bytes.size() - before,
                         std::size_t{header.argc} + header.envc)) {
    return false;
  }
  header.umask = request.umask;
  header.first_argument = request.first_argument;
  header.signal_mask = request.signal_mask;
  header.signal_ignored = request.signal_ignored;
  if (request.process_group) {
    header.flags |= kRequestHasPgrp;
    header.pgrp = *request.process_group;
  }
  if (bytes.size() > kMaxRequestBytes) return false;
  header.size = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  return true;
}

}  // namespace prewarm::launch
