// SPDX-License-Identifier: MIT
#include <cstdio>
#include <cstdlib>

#include "shapes.h"

namespace shapes {
namespace {

struct Early {
  Early() {
    note("second library's object made");
    std::atexit([] { std::puts("second library's atexit"); });
  }
  ~Early() { std::puts("second library's object gone"); }
} early;

}  // namespace

std::string Odd::name() const { return "odd " + Round::name() + " " + Angular::name(); }
Shape* make_odd() { return new Odd; }
void rethrow_through_second(void (*function)()) {
  try {
    function();
  } catch (const std::exception& error) {
    note("second library saw an exception");
    throw;
  }
}
int* second_counter_address() { return &shared_counter; }
int* second_static_counter() { return &counter_of<Shape>(); }

}  // namespace shapes
