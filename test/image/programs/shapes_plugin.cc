// SPDX-License-Identifier: MIT
//
// Comes in by dlopen, and uses the libraries that are there already.
#include <cstdio>

#include "shapes.h"

namespace {
struct Early {
  Early() { shapes::note("plugin's object made"); }
  ~Early() { std::puts("plugin's object gone"); }
} early;
thread_local int plugin_thread_counter = 5;
}  // namespace

extern "C" int plugin_counter() { return ++plugin_thread_counter; }
extern "C" int* plugin_counter_address() { return &shapes::shared_counter; }
extern "C" int* plugin_static_counter() { return &shapes::counter_of<shapes::Shape>(); }
extern "C" shapes::Shape* plugin_shape() { return shapes::make_odd(); }
extern "C" void plugin_throw() { throw shapes::Error("from the plugin"); }
