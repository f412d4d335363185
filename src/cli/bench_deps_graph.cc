// SPDX-License-Identifier: MIT
#include "cli/bench_deps_graph.h"

#include <fmt/format.h>

#include <algorithm>

namespace prewarm::cli {
namespace {

// Well mixed bits of a number: the finalizer of MurmurHash3.
std::uint32_t mixed(std::uint32_t x) {
  x ^= x >> 16;
  x *= 0x85ebca6bU;
  x ^= x >> 13;
  x *= 0xc2b2ae35U;
  return x ^ (x >> 16);
}

std::vector<unsigned> needs_of(const DepsShape& shape, unsigned index) {
  if (index == 0 || shape.graph == DepsGraph::star) return {};
  if (shape.graph == DepsGraph::chain) return {index - 1};
  const unsigned reach = std::min(index, kDepsReach);
  const unsigned wanted = std::min(reach, shape.deps);
  std::vector<unsigned> needs;
  for (unsigned attempt = 0; needs.size() < wanted; ++attempt) {
    const unsigned other = index - 1 - (mixed((index << 10) + attempt) % reach);
    if (std::ranges::find(needs, other) == needs.end()) needs.push_back(other);
  }
  return needs;
}

}  // namespace

const char* graph_name(DepsGraph graph) {
  switch (graph) {
    case DepsGraph::star:
      return "star";
    case DepsGraph::chain:
      return "chain";
    case DepsGraph::dag:
      return "dag";
  }
  return "";
}

std::string shape_name(const DepsShape& shape) {
  std::string name = fmt::format("{}-{}x{}", graph_name(shape.graph), shape.libs, shape.functions);
  if (shape.graph == DepsGraph::dag) name += fmt::format("-deps{}", shape.deps);
  if (shape.cxx) name += "-cxx";
  if (shape.tls) name += "-tls";
  if (shape.versions) name += "-versions";
  if (shape.max_page_size != 0) name += fmt::format("-page{}", shape.max_page_size);
  return name;
}

std::uint32_t deps_value(unsigned index) { return mixed(index + 1) | 1; }
std::uint32_t deps_tls_value(unsigned index) { return mixed(~index) | 1; }

unsigned deps_caller_of(const DepsShape& shape, unsigned which) {
  return 1 + (which % (shape.functions - 1));
}

DepsClosure::DepsClosure(const DepsShape& shape) : shape_(shape) {
  std::vector<bool> needed(shape.libs);
  for (unsigned i = 0; i < shape.libs; ++i) {
    needs_.push_back(needs_of(shape, i));
    for (const unsigned other : needs_.back()) needed[other] = true;
  }
  for (unsigned i = 0; i < shape.libs; ++i) {
    if (!needed[i]) roots_.push_back(i);
  }
  const std::size_t count = std::min<std::size_t>(roots_.size(), kMostDepsCalled);
  for (std::size_t i = 1; i <= count; ++i)
    called_.push_back(roots_[(i * roots_.size() / count) - 1]);
}

std::uint32_t DepsClosure::leaf(unsigned index, std::uint32_t x) const {
  const std::uint32_t length = (x & 1) == 0 ? kDepsEvenLength : kDepsOddLength;
  return (x * 3) + deps_value(index) + length + (shape_.tls ? deps_tls_value(index) : 0);
}

// Every result is multiplied by an odd number only: none is lost, and a wrong one is seen.
// NOLINTNEXTLINE(misc-no-recursion): as deep as a chain of libraries
std::uint32_t DepsClosure::function(unsigned index, unsigned number, std::uint32_t x) const {
  const std::vector<unsigned>& needed = needs_[index];
  std::uint32_t r = (x + number) ^ deps_value(index);
  for (unsigned i = 0; i < needed.size(); ++i) {
    if (deps_caller_of(shape_, i) == number) r = (r * 31) + leaf(needed[i], x + i);
  }
  if (needed.empty()) return r;
  if (shape_.cxx && number == 1) {
    const std::uint32_t value = deps_value(needed.front());
    r = (r * 31) + x + value;  // thrown
    r = (r * 31) + value;      // by a virtual function
  }
  // The last function walks on, along the first dependency.
  if (number == shape_.functions - 1) r = (r * 31) + function(needed.front(), number, x + 1);
  return r;
}

std::uint32_t DepsClosure::checksum() const {
  std::uint32_t sum = 0;
  std::uint32_t x = 0;
  for (const unsigned index : called_) {
    sum = (sum * 31) + leaf(index, x++);
    for (unsigned k = 1; k < shape_.functions; ++k) sum = (sum * 31) + function(index, k, x++);
    if (shape_.cxx) sum = (sum * 31) + x++ + deps_value(index);  // thrown by the library
  }
  return shape_.cxx ? (sum * 31) + shape_.libs : sum;  // constructors have counted
}

}  // namespace prewarm::cli
