// SPDX-License-Identifier: MIT
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "shapes.h"

namespace shapes {
namespace {

std::vector<std::string>& notes() {
  static std::vector<std::string> all;
  return all;
}

std::mutex& notes_mutex() {
  static std::mutex mutex;
  return mutex;
}

struct Early {
  Early() { note("first library's object made"); }
  ~Early() { std::puts("first library's object gone"); }
} early;

struct PerThread {
  PerThread() { note("thread's object made"); }
  ~PerThread() { __atomic_add_fetch(&shared_counter, 1, __ATOMIC_RELAXED); }
  int counter = 40;
};
thread_local PerThread per_thread;

struct Guard {
  ~Guard() { note("frame left"); }
};

}  // namespace

Shape::~Shape() = default;
Error::~Error() = default;
std::string Round::name() const { return "round"; }
std::string Angular::name() const { return "angular"; }
Shape* make_round() { return new Round; }
void throw_error(const char* text) { throw Error(text); }
void call(void (*function)(void*), void* data) {
  Guard guard;
  function(data);
}
int& first_thread_counter() { return per_thread.counter; }
int* first_counter_address() { return &shared_counter; }
int* first_static_counter() { return &counter_of<Shape>(); }
void note(const char* text) {
  const std::lock_guard lock(notes_mutex());
  notes().emplace_back(text);
}
void print_notes() {
  for (const auto& text : notes()) std::printf("note: %s\n", text.c_str());
  notes().clear();
}

}  // namespace shapes
