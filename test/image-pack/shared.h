// SPDX-License-Identifier: MIT
//
// What all libraries have in common: definitions that each has, and all must use the same one of.
#pragma once

template <class T>
struct Shared {
  static inline int value = 0;  // STB_GNU_UNIQUE
};

struct Base {
  virtual ~Base() = default;
  virtual int number() const { return -1; }
};

template <int number_>
struct Thrown : Base {
  int number() const override { return number_; }
};

inline int& counted_inline() {
  static int count = 0;  // STB_GNU_UNIQUE
  return count;
}

extern "C" {
void note(const char* what, int number);
extern int unwound;
}
