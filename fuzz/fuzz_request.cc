// SPDX-License-Identifier: MIT
//
// The wire form of a request: whatever bytes come, parse_request reads only them; and what it
// accepts is whole, so that the agent can use it without looking again.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "invariant.h"
#include "launch/request.h"

namespace {

using namespace prewarm::launch;

// A copy of just this size, aligned as a receiver's buffer is.
class Message {
 public:
  Message(const std::uint8_t* data, std::size_t size) : bytes_(new char[size]), size_(size) {
    if (size != 0) std::memcpy(bytes_.get(), data, size);
  }
  char* bytes() { return bytes_.get(); }
  std::size_t size() const { return size_; }
  bool contains(const void* from, std::size_t n) const {
    const auto* at = static_cast<const char*>(from);
    return at >= bytes_.get() && n <= size_ &&
           static_cast<std::size_t>(at - bytes_.get()) <= size_ - n;
  }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_;
};

std::vector<char*> check_strings(const Message& message, char* at, std::uint32_t count,
                                 std::uint32_t size) {
  PREWARM_MUST(message.contains(at, size));
  const char* end = at + size;
  std::vector<char*> row;
  for (std::uint32_t i = 0; i < count; ++i) {
    PREWARM_MUST(at < end);
    row.push_back(at);
    at += std::strlen(at) + 1;
  }
  PREWARM_MUST(at == end);
  row.push_back(nullptr);
  return row;
}

// A request as its maker had it: what the view says, in a form that can be written again.
struct Rebuilt {
  std::vector<char*> argv;
  std::vector<char*> env;
  std::vector<Descriptor> descriptors;
  std::vector<SetUp> set_up;
  LaunchRequest request;
};

void check_view(const Message& message, const RequestView& view, Rebuilt& out) {
  const RequestHeader& h = *view.header;
  PREWARM_MUST(message.contains(view.targets, h.fd_count * sizeof(std::int32_t)));
  PREWARM_MUST(message.contains(view.operations, h.op_count * sizeof(Operation)));
  PREWARM_MUST(message.contains(view.text, h.text_size));
  PREWARM_MUST(view.env == view.argv + h.argv_size);
  out.argv = check_strings(message, view.argv, h.argc, h.argv_size);
  out.env = check_strings(message, view.env, h.envc, h.env_size);
  for (std::uint32_t i = 0; i < h.fd_count; ++i) {
    PREWARM_MUST(view.targets[i] >= 0);
    PREWARM_MUST(i == 0 || view.targets[i] > view.targets[i - 1]);
    out.descriptors.push_back({0, view.targets[i]});
  }
  for (std::uint32_t i = 0; i < h.op_count; ++i) {
    const Operation& op = view.operations[i];
    PREWARM_MUST(op.fd >= 0);
    SetUp s{op.kind, op.fd, op.other, op.flags, op.mode, "", ""};
    if (op.kind == OperationKind::open) {
      s.path = view.text + op.text;
      s.error_prefix = view.text + op.error_prefix;
      PREWARM_MUST(message.contains(view.text + op.text, s.path.size() + 1));
      PREWARM_MUST(message.contains(view.text + op.error_prefix, s.error_prefix.size() + 1));
    } else {
      PREWARM_MUST(op.kind == OperationKind::close || op.other >= 0);
    }
    out.set_up.push_back(std::move(s));
  }
  out.request.path = "/bin/x";
  out.request.argv = out.argv.data();
  out.request.env = out.env.data();
  out.request.descriptors = out.descriptors;
  out.request.set_up = out.set_up;
  out.request.umask = h.umask;
  out.request.signal_mask = h.signal_mask;
  out.request.signal_ignored = h.signal_ignored;
  if ((h.flags & kRequestHasPgrp) != 0) out.request.process_group = h.pgrp;
  out.request.first_argument = h.first_argument;
}

// Whether the text area is laid out as a writer does it: the texts of each open, one after the
// other.
bool is_laid_out_in_order(const RequestView& view) {
  std::uint32_t next = 0;
  for (std::uint32_t i = 0; i < view.header->op_count; ++i) {
    const Operation& op = view.operations[i];
    if (op.unused != 0) return false;
    if (op.kind != OperationKind::open) {
      if (op.text != 0 || op.error_prefix != 0) return false;
      continue;
    }
    if (op.text != next) return false;
    next += static_cast<std::uint32_t>(std::strlen(view.text + op.text)) + 1;
    if (op.error_prefix != next) return false;
    next += static_cast<std::uint32_t>(std::strlen(view.text + op.error_prefix)) + 1;
  }
  return next == view.header->text_size;
}

bool is_canonical(const RequestView& view) {
  const RequestHeader& h = *view.header;
  const bool group = (h.flags & kRequestHasPgrp) != 0;
  return (h.flags & ~std::uint32_t{kRequestHasPgrp}) == 0 && (group || h.pgrp == 0) &&
         is_laid_out_in_order(view);
}

void check(const std::uint8_t* data, std::size_t size) {
  Message message(data, size);
  RequestView view{};
  if (!parse_request(message.bytes(), message.size(), view)) return;
  Rebuilt rebuilt;
  check_view(message, view, rebuilt);

  // Written again it may exceed a limit of execve, or as text that had been shared; else it is
  // accepted, and equal if it was written by write_request in the first place.
  std::vector<char> written;
  if (!write_request(rebuilt.request, view.header->generation, written)) return;
  if (is_canonical(view)) {
    PREWARM_MUST(written.size() == size);
    PREWARM_MUST(std::equal(written.begin(), written.end(), message.bytes()));
  }
  Message again(reinterpret_cast<const std::uint8_t*>(written.data()), written.size());
  RequestView second{};
  PREWARM_MUST(parse_request(again.bytes(), again.size(), second));
  PREWARM_MUST(is_canonical(second));
  Rebuilt second_rebuilt;
  check_view(again, second, second_rebuilt);
  PREWARM_MUST(second.header->argc == view.header->argc);
  PREWARM_MUST(second.header->envc == view.header->envc);
  PREWARM_MUST(std::equal(second.argv, second.env, view.argv, view.env));
  for (std::size_t i = 0; i < rebuilt.set_up.size(); ++i) {
    PREWARM_MUST(second_rebuilt.set_up[i].path == rebuilt.set_up[i].path);
    PREWARM_MUST(second_rebuilt.set_up[i].error_prefix == rebuilt.set_up[i].error_prefix);
  }

  // One byte less is never whole.
  Message shorter(data, size - 1);
  PREWARM_MUST(!parse_request(shorter.bytes(), shorter.size(), view));
}

// The same bytes with what keeps most of them from being looked at: the magic, the size, and
// the sizes of the three areas of strings, which share what there is.
void check_repaired(std::vector<std::uint8_t> bytes) {
  RequestHeader h;
  if (bytes.size() < sizeof h) return;
  std::memcpy(&h, bytes.data(), sizeof h);
  h.magic = kRequestMagic;
  h.size = static_cast<std::uint32_t>(bytes.size());
  h.fd_count %= 8;
  h.op_count %= 4;
  std::size_t rest = bytes.size() - sizeof h;
  rest -= std::min<std::size_t>(rest, h.fd_count * 4 + h.op_count * sizeof(Operation));
  const auto take = [&rest](std::uint32_t wanted) {
    const std::size_t n = wanted % (rest + 1);
    rest -= n;
    return static_cast<std::uint32_t>(n);
  };
  h.text_size = take(h.text_size);
  h.argv_size = take(h.argv_size);
  h.env_size = static_cast<std::uint32_t>(rest);
  // As many strings as there are.
  const auto count = [&bytes](std::size_t end, std::size_t n) {
    std::uint32_t zeros = 0;
    for (std::size_t i = end - n; i < end; ++i) zeros += bytes[i] == 0;
    return zeros;
  };
  h.argc = count(bytes.size() - h.env_size, h.argv_size);
  h.envc = count(bytes.size(), h.env_size);
  std::memcpy(bytes.data(), &h, sizeof h);
  check(bytes.data(), bytes.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check(data, size);
  check_repaired({data, data + size});
  return 0;
}
