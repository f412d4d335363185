// SPDX-License-Identifier: MIT
//
// Rows of operations as a caller may push them: whatever the operations say, they are cut into
// chains, each is refused or planned, and a plan is a whole copy that lies within its memory.
#include <linux/filter.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cold/plan.h"
#include "invariant.h"

namespace {

using namespace prewarm;
using enum OperationCode;
using cold::Chain;

constexpr std::size_t kMostOperations = 64;
constexpr std::size_t kMostStrings = 6;
constexpr std::size_t kMostElements = 24;

// ---- From bytes to operations
// ----------------------------------------------------------------------

// The input, from front to back; zeros behind its end.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t first = rest_.front();
    rest_ = rest_.subspan(1);
    return first;
  }
  // Small ones mostly, or one at a bound.
  int number() {
    constexpr int kOdd[] = {-1,
                            -2,
                            64,
                            65,
                            255,
                            1000,
                            1001,
                            -1000,
                            -1001,
                            65536,
                            65537,
                            1 << 30,
                            static_cast<int>(0x80000000),
                            0x7fffffff};
    const unsigned b = byte();
    return b < 0xc0 ? static_cast<int>(b) : kOdd[b % std::size(kOdd)];
  }
  std::uint64_t wide() {
    std::uint64_t value = 0;
    for (int i = byte() % 9; i > 0; --i) value = value << 8 | byte();
    return value;
  }

 private:
  std::span<const std::uint8_t> rest_;
};

// Makes operations, and keeps what they point to. What a size promises is there, as it must be.
class Row {
 public:
  explicit Row(Input& in) {
    while (!in.empty() && operations_.size() < kMostOperations) operations_.push_back(make(in));
  }

  std::span<const Operation> operations() const { return operations_; }

 private:
  Operation make(Input& in) {
    Operation o;
    o.code = static_cast<OperationCode>(in.byte());
    const std::uint8_t how = in.byte();
    o.linked = (how & 1) != 0;
    o.hard_linked = (how & 2) != 0;
    const bool null_data = (how & 4) != 0;
    const bool null_extra = (how & 8) != 0;
    o.user_data = operations_.size();
    o.fd = in.number();
    o.other = in.number();
    o.value = in.wide();
    o.more = in.wide();
    switch (o.code) {
      case exec:
      case exec_fd:
        o.data = null_data ? nullptr : text(in);
        // Shared with the exec before, as along PATH, or another one.
        if (arguments_.empty() || (how & 16) != 0) arguments_.push_back(strings(in));
        o.extra = null_extra ? nullptr : arguments_.back();
        o.more = (how & 32) != 0 ? 0 : cold::word(strings(in));
        break;
      case keep_only:
        o.data =
            elements<Inherited>(in, o.size, [&in] { return Inherited{in.number(), in.number()}; });
        break;
      case groups:
        o.data = elements<gid_t>(in, o.size, [&in] { return static_cast<gid_t>(in.number()); });
        break;
      case affinity:
        o.data = elements<std::uint64_t>(in, o.size, [&in] { return in.wide(); });
        o.size = o.size * sizeof(std::uint64_t) + ((how & 16) != 0 ? 1U : 0U);
        break;
      case seccomp:
        o.data = filter(in, (how & 16) != 0);
        break;
      default:
        o.data = text(in);
        o.extra = null_extra ? nullptr : text(in);
        o.size = static_cast<std::size_t>(o.value);  // means nothing to all others
        break;
    }
    // Nobody looks behind a size that can't be right.
    if ((how & 64) != 0) o.size = SIZE_MAX / 2 + in.byte();
    if (null_data) o.data = nullptr;
    return o;
  }

  char* text(Input& in) {
    std::string& s = texts_.emplace_back();
    const std::size_t length = in.byte() % 40;
    while (s.size() < length) s.push_back(static_cast<char>(in.byte()));
    return s.data();
  }

  char** strings(Input& in) {
    auto& row = rows_.emplace_back();
    for (std::size_t n = in.byte() % kMostStrings; n > 0; --n) row.push_back(text(in));
    row.push_back(nullptr);
    return row.data();
  }

  // In a block of just that size, so that a sanitizer sees whoever reads beyond.
  template <class T, class Make>
  const void* elements(Input& in, std::size_t& count, Make make_one) {
    count = in.byte() % kMostElements;
    std::shared_ptr<T[]> row(new T[count]);
    for (std::size_t i = 0; i < count; ++i) row[i] = make_one();
    blocks_.push_back(row);
    return row.get();
  }

  const void* filter(Input& in, bool without_steps) {
    std::size_t count = 0;
    const auto step = [&in] {
      return sock_filter{in.byte(), in.byte(), in.byte(), static_cast<std::uint32_t>(in.number())};
    };
    const void* steps = elements<sock_filter>(in, count, step);
    sock_fprog& program = filters_.emplace_back();
    program.len = static_cast<unsigned short>(count);
    program.filter = without_steps ? nullptr : static_cast<sock_filter*>(const_cast<void*>(steps));
    return &program;
  }

  std::vector<Operation> operations_;
  std::deque<std::string> texts_;
  std::deque<std::vector<char*>> rows_;
  std::vector<char**> arguments_;
  std::vector<std::shared_ptr<void>> blocks_;
  std::deque<sock_fprog> filters_;
};

// ---- What an operation says
// ------------------------------------------------------------------------

// Where the pointers of an operation may lead: for a plan its memory, else anywhere.
class Reader {
 public:
  Reader() = default;
  explicit Reader(std::span<const std::byte> memory) : memory_(memory) {}

  template <class T>
  std::span<const T> array(const void* at, std::size_t count) const {
    PREWARM_MUST(reinterpret_cast<std::uintptr_t>(at) % alignof(T) == 0 || count == 0);
    must_hold(at, count * sizeof(T));
    return {static_cast<const T*>(at), count};
  }
  std::string text(const void* at) const {
    must_hold(at, 1);
    const auto* from = static_cast<const char*>(at);
    const std::size_t length = std::strlen(from);
    must_hold(at, length + 1);
    return {from, length};
  }
  std::string strings(const void* at) const {
    std::string all;
    for (auto* one = static_cast<char* const*>(at);; ++one) {
      must_hold(one, sizeof *one);
      if (*one == nullptr) return all;
      all += text(*one) + '\0';
    }
  }

 private:
  void must_hold(const void* at, std::size_t size) const {
    if (!memory_) return;
    const auto begin = reinterpret_cast<std::uintptr_t>(memory_->data());
    const auto from = reinterpret_cast<std::uintptr_t>(at);
    PREWARM_MUST(from >= begin && from - begin <= memory_->size());
    PREWARM_MUST(size <= memory_->size() - (from - begin));
  }

  std::optional<std::span<const std::byte>> memory_;
};

template <class T>
std::string bytes_of(std::span<const T> row) {
  return {reinterpret_cast<const char*>(row.data()), row.size_bytes()};
}

// The map of keep_only, as it is planned.
std::vector<cold::Placement> planned(std::span<const Inherited> map) {
  std::vector<cold::Placement> row;
  for (const Inherited& one : map) {
    const bool is_target = std::ranges::find(map, one.source, &Inherited::target) != map.end();
    row.push_back({one.source, one.target, is_target && one.source != one.target});
  }
  std::ranges::sort(row, {}, &cold::Placement::target);
  return row;
}

std::string describe(std::span<const cold::Placement> row) {
  std::string all;
  for (const cold::Placement& p : row) {
    all += std::to_string(p.source) + (p.in_the_way ? "!" : ">") + std::to_string(p.target) + " ";
  }
  return all;
}

// All that the executor reads of an operation, and nothing that is only an address.
std::string describe(const Operation& o, const Reader& reader, bool is_planned) {
  std::string all = std::to_string(static_cast<int>(o.code)) + " " + std::to_string(o.user_data) +
                    (o.linked ? "l" : "") + (o.hard_linked ? "h" : "") + " " +
                    std::to_string(o.fd) + " " + std::to_string(o.other) + "|";
  switch (o.code) {
    case exec:
    case exec_fd:
      if (o.code == exec) all += reader.text(o.data);
      return all + "|" + reader.strings(o.extra) + "|" +
             reader.strings(cold::pointer<const void>(o.more));
    case open:
    case chdir:
    case chroot:
      return all + reader.text(o.data) + "|" + std::to_string(o.value);
    case id_maps: {
      const std::string users = o.data == nullptr ? "" : reader.text(o.data);
      const std::string rest = o.extra == nullptr ? "" : reader.text(o.extra);
      if (is_planned && o.data != nullptr) PREWARM_MUST(o.size == users.size());
      if (is_planned && o.extra != nullptr) PREWARM_MUST(o.value == rest.size());
      return all + (o.data == nullptr ? "-" : users) + "|" + (o.extra == nullptr ? "-" : rest);
    }
    case keep_only:
      return all + (is_planned ? describe(reader.array<cold::Placement>(o.data, o.size))
                               : describe(planned(reader.array<Inherited>(o.data, o.size))));
    case groups:
      return all + bytes_of(reader.array<gid_t>(o.data, o.size));
    case affinity:
      return all + bytes_of(reader.array<std::uint64_t>(o.data, o.size / sizeof(std::uint64_t)));
    case oom_score:
      return all + (is_planned ? std::string(reader.array<char>(o.data, o.size).data(), o.size)
                               : std::to_string(o.fd));
    case seccomp: {
      const sock_fprog& program = reader.array<sock_fprog>(o.data, 1).front();
      return all + std::to_string(o.value) +
             bytes_of(reader.array<sock_filter>(program.filter, program.len));
    }
    default:
      return all + std::to_string(o.value) + " " + std::to_string(o.more);
  }
}

// ---- What must hold
// --------------------------------------------------------------------------------

// Memory of just this size, aligned for a Chain.
class Memory {
 public:
  explicit Memory(std::size_t size) : bytes_(new std::byte[size]), size_(size) {}
  std::span<std::byte> all() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_;
};

// How much the plan takes; that less isn't enough, and is told so.
std::size_t needed_for(std::span<const Operation> row) {
  std::size_t needed = 0;
  PREWARM_MUST(cold::plan(row, {}, needed) == nullptr);
  PREWARM_MUST(needed >= sizeof(Chain) + row.size() * sizeof(cold::PlannedOperation));
  for (const std::size_t size : {needed / 2, needed - 1}) {
    const Memory memory(size);
    std::size_t again = 0;
    PREWARM_MUST(cold::plan(row, memory.all(), again) == nullptr);
    PREWARM_MUST(again == needed);
  }
  return needed;
}

void check_plan(std::span<const Operation> row) {
  const std::size_t needed = needed_for(row);
  // A little more than it takes changes nothing.
  for (const std::size_t more : {0, 24}) {
    const Memory memory(needed + more);
    std::size_t used = 0;
    const Chain* chain = cold::plan(row, memory.all(), used);
    PREWARM_MUST(chain != nullptr && used == needed);
    const Reader reader(memory.all().first(used));
    PREWARM_MUST(chain->count == row.size());
    const auto copies = reader.array<cold::PlannedOperation>(chain->operations, chain->count);
    bool changes_identity = false;
    for (std::size_t i = 0; i < row.size(); ++i) {
      PREWARM_MUST(copies[i].result == -ECANCELED);
      PREWARM_MUST(describe(copies[i].what, reader, true) == describe(row[i], Reader(), false));
      changes_identity |= row[i].code == user || row[i].code == group || row[i].code == reset_ids ||
                          row[i].code == ambient_capability;
    }
    PREWARM_MUST(chain->changes_identity == changes_identity);
  }
}

bool is_error_of_check(int result) {
  return result == -EINVAL || result == -EFAULT || result == -EBADF || result == -E2BIG;
}

void check_row(std::span<const Operation> rest) {
  while (!rest.empty()) {
    const std::size_t length = cold::chain_length(rest);
    PREWARM_MUST(length >= 1 && length <= rest.size());
    const auto row = rest.first(length);
    const auto is_linked = [](const Operation& o) { return o.linked || o.hard_linked; };
    PREWARM_MUST(std::ranges::all_of(row.first(length - 1), is_linked));
    PREWARM_MUST(length == rest.size() || !is_linked(row.back()));
    rest = rest.subspan(length);

    bool fine = true;
    for (const Operation& o : row) {
      const int result = cold::check(o);
      PREWARM_MUST(result == 0 || is_error_of_check(result));
      const bool is_code = static_cast<unsigned>(o.code) <= static_cast<unsigned>(trace_me);
      PREWARM_MUST(is_code || result == -EINVAL);
      fine = fine && result == 0;
    }
    const int whole = cold::check_chain(row);
    const auto clones = std::ranges::count(row, clone, &Operation::code);
    PREWARM_MUST((whole == 0) == (row.front().code == clone && clones == 1));
    PREWARM_MUST(whole == 0 || whole == -EINVAL);
    if (fine && whole == 0) check_plan(row);
  }
}

// ---- What a ring refuses
// ---------------------------------------------------------------------------

bool is_refused(std::span<const Operation> row) {
  return cold::check_chain(row) != 0 ||
         std::ranges::any_of(row, [](const Operation& o) { return cold::check(o) != 0; });
}

// Chains that must be refused go through a ring, too: each operation has exactly one completion,
// in the order of the row, and one at least says what is wrong. Nothing is ever started here.
void check_refusals(std::span<const Operation> rest) {
  static auto& ring = [] -> SpawnRing& {
    RingOptions options;
    options.entries = kMostOperations;
    options.backend = Backend::posix_spawn;  // because it needs no probing
    options.own_task = false;
    auto made = SpawnRing::create(options);
    PREWARM_MUST(made.has_value());
    return *new SpawnRing(std::move(*made));
  }();
  while (!rest.empty()) {
    const auto row = rest.first(cold::chain_length(rest));
    rest = rest.subspan(row.size());
    if (!is_refused(row)) continue;
    for (const Operation& o : row) PREWARM_MUST(ring.push(o));
    PREWARM_MUST(ring.submit().value_or(0) == row.size());
    PREWARM_MUST(ring.outstanding() == row.size());
    std::vector<Completion> done(row.size() + 1);
    PREWARM_MUST(ring.reap(done) == row.size());
    PREWARM_MUST(ring.outstanding() == 0);
    bool explained = false;
    for (std::size_t i = 0; i < row.size(); ++i) {
      PREWARM_MUST(done[i].user_data == row[i].user_data && done[i].code == row[i].code);
      PREWARM_MUST(done[i].result == -ECANCELED || is_error_of_check(done[i].result));
      PREWARM_MUST(!done[i].pidfd.valid());
      explained |= done[i].result != -ECANCELED;
    }
    PREWARM_MUST(explained);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in(data, size);
  const Row row(in);
  check_row(row.operations());
  check_refusals(row.operations());
  return 0;
}
