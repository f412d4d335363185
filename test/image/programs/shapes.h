// SPDX-License-Identifier: MIT
//
// A small hierarchy whose parts live in different libraries.
#pragma once

#include <stdexcept>
#include <string>

namespace shapes {

struct Shape {
  virtual ~Shape();
  virtual std::string name() const = 0;
};

struct Round : virtual Shape {
  std::string name() const override;
  int radius = 1;
};

struct Angular : virtual Shape {
  std::string name() const override;
};

// Both: made by the other library.
struct Odd : Round, Angular {
  std::string name() const override;
};

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
  ~Error() override;
};

// A variable that every object has a copy of, and all have to share one.
inline int shared_counter = 0;
template <class T>
int& counter_of() {
  static int counter = 0;
  return counter;
}

// In libshapes_first.so.
Shape* make_round();
void throw_error(const char* text);
void call(void (*function)(void*), void* data);  // with a destructor in its frame
int& first_thread_counter();
int* first_counter_address();
int* first_static_counter();

// In libshapes_second.so, which needs the first.
Shape* make_odd();
void rethrow_through_second(void (*function)());
int* second_counter_address();
int* second_static_counter();

// What has been constructed and destroyed, in order.
void note(const char* text);
void print_notes();

}  // namespace shapes
