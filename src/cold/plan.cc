// SPDX-License-Identifier: MIT
#include "cold/plan.h"

#include <linux/filter.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <iterator>
#include <new>
#include <vector>

namespace prewarm::cold {
namespace {

using enum OperationCode;

constexpr std::size_t kMostGroups = 65536;  // NGROUPS_MAX
constexpr std::size_t kMostPlacements = 65536;
constexpr std::size_t kMostProcessorBytes = 8192;
constexpr int kSignals = 64;
constexpr int kCapabilities = 64;
constexpr std::uint64_t kNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                      CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |
                                      0x80 /* CLONE_NEWTIME */;

// Memory given out from front to back. What doesn't fit any more is only counted.
class Arena {
 public:
  explicit Arena(std::span<std::byte> memory) : memory_(memory) {}

  template <class T>
  T* room(std::size_t count = 1) {
    used_ = (used_ + alignof(T) - 1) & ~(alignof(T) - 1);
    const std::size_t at = used_;
    used_ += count * sizeof(T);
    return fits() ? reinterpret_cast<T*>(memory_.data() + at) : nullptr;
  }
  template <class T>
  T* copy(const T* from, std::size_t count) {
    T* to = room<T>(count);
    if (to != nullptr && count != 0) std::memcpy(to, from, count * sizeof(T));
    return to;
  }
  // The length is taken once: the text may be changing under our hands.
  char* text(const char* from) {
    const std::size_t length = std::strlen(from);
    char* to = room<char>(length + 1);
    if (to == nullptr) return nullptr;
    std::memcpy(to, from, length);
    to[length] = '\0';
    return to;
  }

  bool fits() const { return used_ <= memory_.size(); }
  std::size_t used() const { return used_; }

 private:
  std::span<std::byte> memory_;
  std::size_t used_ = 0;
};

// The operations of one chain, copied one after the other.
class Copier {
 public:
  explicit Copier(Arena& arena) : arena_(arena) {}

  Operation copy(const Operation& from) {
    Operation o = from;
    switch (from.code) {
      case exec:
      case exec_fd:
        if (from.code == exec) o.data = text(from.data);
        o.extra = arguments_.copy(arena_, from.extra);
        o.more = word(environment_.copy(arena_, pointer<char* const>(from.more)));
        break;
      case open:
      case chdir:
      case chroot:
        o.data = text(from.data);
        break;
      case id_maps:
        // Their lengths go along: the task has no strlen.
        if (from.data != nullptr) {
          o.data = text(from.data);
          o.size = o.data == nullptr ? 0 : std::strlen(static_cast<const char*>(o.data));
        }
        if (from.extra != nullptr) {
          o.extra = text(from.extra);
          o.value = o.extra == nullptr ? 0 : std::strlen(static_cast<const char*>(o.extra));
        }
        break;
      case keep_only:
        o.data = placements({static_cast<const Inherited*>(from.data), from.size});
        break;
      case groups:
        o.data = arena_.copy(static_cast<const gid_t*>(from.data), from.size);
        break;
      case affinity:
        o.data = arena_.copy(static_cast<const std::uint64_t*>(from.data),
                             from.size / sizeof(std::uint64_t));
        break;
      case oom_score:
        number(from.fd, o);
        break;
      case seccomp:
        o.data = filter(*static_cast<const sock_fprog*>(from.data));
        break;
      default:
        break;  // plain numbers
    }
    return o;
  }

 private:
  // A row of execs along PATH shares its arguments: they are copied once, and counted once if they
  // don't fit.
  class Strings {
   public:
    char** copy(Arena& arena, const void* from) {
      if (from == from_) return to_;
      from_ = from;
      auto* strings = static_cast<char* const*>(from);
      std::size_t count = 0;
      while (strings[count] != nullptr) ++count;
      char** to = arena.room<char*>(count + 1);
      for (std::size_t i = 0; i < count; ++i) {
        char* one = strings[i] == nullptr ? nullptr : arena.text(strings[i]);
        if (to != nullptr) to[i] = one;
      }
      if (to != nullptr) to[count] = nullptr;
      return to_ = to;
    }

   private:
    const void* from_ = nullptr;
    char** to_ = nullptr;
  };

  char* text(const void* from) { return arena_.text(static_cast<const char*>(from)); }

  Placement* placements(std::span<const Inherited> map) {
    Placement* row = arena_.room<Placement>(map.size());
    if (row == nullptr) return nullptr;
    for (std::size_t i = 0; i < map.size(); ++i) row[i] = {map[i].source, map[i].target, false};
    const std::span sorted(row, map.size());
    std::ranges::sort(sorted, {}, &Placement::target);
    for (Placement& p : sorted) {
      p.in_the_way = p.source != p.target &&
                     std::ranges::binary_search(sorted, p.source, {}, &Placement::target);
    }
    return row;
  }

  void number(int value, Operation& o) {
    char* digits = arena_.room<char>(12);
    if (digits == nullptr) return;
    o.data = digits;
    o.size = static_cast<std::size_t>(std::to_chars(digits, digits + 12, value).ptr - digits);
  }

  sock_fprog* filter(const sock_fprog& from) {
    auto* program = arena_.room<sock_fprog>();
    sock_filter* steps = arena_.copy(from.filter, from.len);
    if (steps != nullptr) *program = {from.len, steps};
    return program;
  }

  Arena& arena_;
  Strings arguments_;
  Strings environment_;
};

int check_placements(const Operation& o) {
  if (o.size > kMostPlacements) return -E2BIG;
  if (o.data == nullptr && o.size != 0) return -EFAULT;
  const std::span map(static_cast<const Inherited*>(o.data), o.size);
  for (const Inherited& i : map) {
    if (i.source < 0 || i.target < 0) return -EBADF;
  }
  std::vector<int> targets(map.size());
  std::ranges::transform(map, targets.begin(), &Inherited::target);
  std::ranges::sort(targets);
  return std::ranges::adjacent_find(targets) == targets.end() ? 0 : -EINVAL;
}

int check_filter(const Operation& o) {
  const auto* program = static_cast<const sock_fprog*>(o.data);
  if (program == nullptr || program->filter == nullptr) return -EFAULT;
  return program->len == 0 ? -EINVAL : 0;
}

int when(bool right, int error) { return right ? 0 : -error; }

}  // namespace

std::size_t chain_length(std::span<const Operation> operations) {
  std::size_t n = 0;
  while (n < operations.size()) {
    const Operation& o = operations[n++];
    if (!o.linked && !o.hard_linked) break;
  }
  return n;
}

int check_chain(std::span<const Operation> operations) {
  const auto clones = std::ranges::count(operations, clone, &Operation::code);
  return when(clones == 1 && operations.front().code == clone, EINVAL);
}

int check(const Operation& o) {
  switch (o.code) {
    case clone:
      return when((o.value & ~kNamespaces) == 0 && o.other >= 0 && o.other <= kSignals, EINVAL);
    case exec:
      return when(o.data != nullptr && o.extra != nullptr && o.more != 0, EFAULT);
    case exec_fd:
      if (o.fd < 0) return -EBADF;
      return when(o.extra != nullptr && o.more != 0, EFAULT);
    case open:
      if (o.fd < 0) return -EBADF;
      return when(o.data != nullptr, EFAULT);
    case dup:
      return when(o.fd >= 0 && o.other >= 0, EBADF);
    case close:
    case fchdir:
    case take_terminal:
    case foreground:
    case cgroup:
    case landlock:
      return when(o.fd >= 0, EBADF);
    case close_range:
      return when(o.value <= o.more, EINVAL);
    case keep_only:
      return check_placements(o);
    case chdir:
    case chroot:
      return when(o.data != nullptr, EFAULT);
    case setpgid:
    case limit:
      return when(o.fd >= 0, EINVAL);
    case death_signal:
      return when(o.fd >= 0 && o.fd <= kSignals, EINVAL);
    case groups:
      if (o.size > kMostGroups) return -EINVAL;
      return when(o.data != nullptr || o.size == 0, EFAULT);
    case ambient_capability:
      return when(o.fd >= 0 && o.fd < kCapabilities, EINVAL);
    case affinity:
      if (o.data == nullptr) return -EFAULT;
      return when(o.size != 0 && o.size <= kMostProcessorBytes && o.size % 8 == 0, EINVAL);
    case oom_score:
      return when(o.fd >= -1000 && o.fd <= 1000, EINVAL);
    case unshare:
      return when((static_cast<std::uint32_t>(o.fd) & ~kNamespaces) == 0, EINVAL);
    case seccomp:
      return check_filter(o);
    case umask:
    case setsid:
    case drop_terminal:
    case signal_mask:
    case signal_default:
    case signal_ignore:
    case user:
    case group:
    case reset_ids:
    case no_new_privileges:
    case id_maps:
    case nice:
    case scheduler:
    case trace_me:
      return 0;
  }
  return -EINVAL;  // not a code at all
}

Chain* plan(std::span<const Operation> operations, std::span<std::byte> memory,
            std::size_t& needed) {
  Arena arena(memory);
  Chain* chain = arena.room<Chain>();
  PlannedOperation* row = arena.room<PlannedOperation>(operations.size());
  if (chain != nullptr) new (chain) Chain;
  bool raises_capability = false;
  bool changes_identity = false;
  Copier copier(arena);
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const Operation& o = operations[i];
    raises_capability |= o.code == ambient_capability;
    changes_identity |= o.code == user || o.code == group || o.code == reset_ids;
    const Operation copied = copier.copy(o);
    if (row != nullptr) new (&row[i]) PlannedOperation{copied, -ECANCELED};
  }
  needed = arena.used();
  if (chain == nullptr || !arena.fits()) return nullptr;
  chain->operations = row;
  chain->count = static_cast<std::uint32_t>(operations.size());
  chain->keeps_capabilities = raises_capability && changes_identity;
  chain->changes_identity = changes_identity || raises_capability;
  return chain;
}

const char* operation_name(OperationCode code) {
  static constexpr const char* kNames[] = {
      "clone",
      "exec",
      "exec_fd",
      "open",
      "dup",
      "close",
      "close_range",
      "keep_only",
      "chdir",
      "fchdir",
      "chroot",
      "umask",
      "setsid",
      "setpgid",
      "take_terminal",
      "drop_terminal",
      "foreground",
      "signal_mask",
      "signal_default",
      "signal_ignore",
      "death_signal",
      "user",
      "group",
      "groups",
      "reset_ids",
      "ambient_capability",
      "no_new_privileges",
      "id_maps",
      "limit",
      "nice",
      "scheduler",
      "affinity",
      "oom_score",
      "cgroup",
      "unshare",
      "seccomp",
      "landlock",
      "trace_me",
  };
  static_assert(std::size(kNames) == static_cast<std::size_t>(trace_me) + 1);
  const auto index = static_cast<std::size_t>(code);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

}  // namespace prewarm::cold
