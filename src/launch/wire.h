// SPDX-License-Identifier: MIT
//
// The wire form of a LaunchRequest: what travels to a parked process, in one message.
//
//   RequestHeader
//   int32_t   target[fd_count]     the number each descriptor gets, ascending
//   Operation operation[op_count]  set-up left to do in the new process, in order
//   char      text[text_size]      strings of the operations, NUL-terminated
//   char      argv[argv_size]      argc NUL-terminated strings, back to back
//   char      env[env_size]        envc NUL-terminated strings, back to back
//
// argv and env come last and together, so that the received bytes serve as the process's argument
// and environment area, as the kernel would have laid it out. Descriptors travel beside the message
// (SCM_RIGHTS): first the fd_count targets, then the working directory.
//
// Byte order and alignment are the machine's: both ends are on it. A receiver trusts nothing:
// `parse_request` checks every length before it is used, and never reads outside `size` bytes.
//
// Restrictions: included by the agent: no allocation, no libc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace prewarm::launch {

inline constexpr std::uint32_t kRequestMagic = 0x51525750;  // "PWRQ"

inline constexpr std::uint32_t kMaxDescriptors = 200;  // the kernel's limit is 253 (SCM_MAX_FD)
inline constexpr std::uint32_t kMaxOperations = 64;
inline constexpr std::uint32_t kMaxStrings = 1u << 20;  // argc and envc each
inline constexpr std::uint32_t kInlineBytes = 16384;    // larger requests travel in a memfd
inline constexpr std::uint32_t kMaxRequestBytes = 8u << 20;

enum RequestFlags : std::uint32_t {
  kRequestInMemfd = 1,  // the message is this header only; the request is in a memfd, sent last
  kRequestHasPgrp = 2,  // put the process into process group `pgrp`
  // The sender is still looking whether the launch would be exact: not to be taken before the slot
  // says `granted`. If it never does the process is killed.
  kRequestAwaitsGrant = 4,
};

struct RequestHeader {
  std::uint32_t magic;
  std::uint32_t size;        // bytes of the whole request, header included
  std::uint32_t generation;  // of the claimed slot; a message of another generation is discarded
  std::uint32_t flags;
  std::uint32_t fd_count;
  std::uint32_t op_count;
  std::uint32_t text_size;
  std::uint32_t argc;
  std::uint32_t argv_size;
  std::uint32_t envc;
  std::uint32_t env_size;
  std::uint32_t umask;
  std::uint64_t signal_mask;     // bit n-1 is signal n
  std::uint64_t signal_ignored;  // dispositions that are SIG_IGN; all others are default
  std::int32_t pgrp;
  std::uint32_t first_argument;  // see LaunchRequest
};

enum class OperationKind : std::uint16_t {
  open,   // open text at `text` with `flags`, `mode`, as descriptor `fd`
  dup,    // make `fd` a copy of `other`
  close,  // close `fd`; that it was not open is no error
};

struct Operation {
  OperationKind kind;
  std::uint16_t unused;
  std::int32_t fd;
  std::int32_t other;
  std::int32_t flags;
  std::uint32_t mode;
  std::uint32_t text;          // offset of the path in the text area
  std::uint32_t error_prefix;  // offset of what an error message starts with
};

// A request whose bounds have been checked; all pointers lead into the parsed bytes.
struct RequestView {
  const RequestHeader* header;
  const std::int32_t* targets;
  const Operation* operations;
  const char* text;
  char* argv;
  char* env;
};

namespace detail {

inline bool strings_are_whole(const char* bytes, std::uint32_t size, std::uint32_t count) {
  std::uint32_t seen = 0;
  for (std::uint32_t i = 0; i < size; ++i) seen += bytes[i] == '\0';
  return seen == count && (size == 0 || bytes[size - 1] == '\0');
}

}  // namespace detail

// Checks `size` bytes at `bytes` (8-byte aligned) and fills `view`. False: not a whole, sane
// request.
inline bool parse_request(char* bytes, std::size_t size, RequestView& view) {
  if (size < sizeof(RequestHeader)) return false;
  const auto* h = reinterpret_cast<const RequestHeader*>(bytes);
  if (h->magic != kRequestMagic || h->size != size || size > kMaxRequestBytes) return false;
  if (h->fd_count > kMaxDescriptors || h->op_count > kMaxOperations) return false;
  if (h->argc > kMaxStrings || h->envc > kMaxStrings) return false;
  if (h->first_argument > h->argc) return false;
  const std::uint64_t wanted = sizeof(RequestHeader) + std::uint64_t{h->fd_count} * 4 +
                               std::uint64_t{h->op_count} * sizeof(Operation) + h->text_size +
                               std::uint64_t{h->argv_size} + h->env_size;
  if (wanted != size) return false;
  char* at = bytes + sizeof(RequestHeader);
  view.header = h;
  view.targets = reinterpret_cast<const std::int32_t*>(at);
  at += h->fd_count * 4;
  view.operations = reinterpret_cast<const Operation*>(at);
  at += h->op_count * sizeof(Operation);
  view.text = at;
  at += h->text_size;
  view.argv = at;
  view.env = at + h->argv_size;
  if (h->text_size != 0 && view.text[h->text_size - 1] != '\0') return false;
  for (std::uint32_t i = 0; i < h->fd_count; ++i) {
    if (view.targets[i] < 0 || (i > 0 && view.targets[i] <= view.targets[i - 1])) return false;
  }
  for (std::uint32_t i = 0; i < h->op_count; ++i) {
    const Operation& op = view.operations[i];
    if (op.fd < 0) return false;
    if (op.kind == OperationKind::open) {
      if (op.text >= h->text_size || op.error_prefix >= h->text_size) return false;
    } else if (op.kind == OperationKind::dup) {
      if (op.other < 0) return false;
    } else if (op.kind != OperationKind::close) {
      return false;
    }
  }
  return detail::strings_are_whole(view.argv, h->argv_size, h->argc) &&
         detail::strings_are_whole(view.env, h->env_size, h->envc);
}

}  // namespace prewarm::launch
