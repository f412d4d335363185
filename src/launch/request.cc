// SPDX-License-Identifier: MIT
#include "launch/request.h"

#include <cstring>

namespace prewarm::launch {
namespace {

void append(std::vector<char>& bytes, const void* data, std::size_t size) {
  const auto* from = static_cast<const char*>(data);
  bytes.insert(bytes.end(), from, from + size);
}

// Appends the strings of a null-terminated row; returns how many. `bytes` grows by their size.
std::uint32_t append_strings(std::vector<char>& bytes, char* const* strings) {
  std::uint32_t count = 0;
  for (; *strings != nullptr; ++strings, ++count) {
    append(bytes, *strings, std::strlen(*strings) + 1);
  }
  return count;
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
  header.argc = append_strings(bytes, request.argv);
  header.argv_size = static_cast<std::uint32_t>(bytes.size() - before);
  before = bytes.size();
  header.envc = append_strings(bytes, request.env);
  header.env_size = static_cast<std::uint32_t>(bytes.size() - before);
  header.umask = request.umask;
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
