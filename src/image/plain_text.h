// SPDX-License-Identifier: MIT
//
// Text of bounded length where there is no C library.
//
// Restrictions: as map_client.h, which uses it.
#pragma once

#include <cstdint>

namespace prewarm::image {

inline bool same_text(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) ++a, ++b;
  return *a == *b;
}

inline bool begins_with(const char* text, const char* beginning) {
  for (; *beginning != '\0'; ++text, ++beginning) {
    if (*text != *beginning) return false;
  }
  return true;
}

inline unsigned length_of(const char* text) {
  unsigned length = 0;
  while (text[length] != '\0') ++length;
  return length;
}

// Written into a buffer that is somebody else's; always ended by a zero.
class PlainText {
 public:
  PlainText(char* buffer, unsigned size) : begin_(buffer), room_(size - 1) { *begin_ = '\0'; }
  PlainText& add(const char* part) {
    for (; *part != '\0'; ++part) put(*part);
    return *this;
  }
  PlainText& add(std::uint64_t number) {
    char digits[20];
    unsigned count = 0;
    do {
      digits[count++] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    while (count > 0) put(digits[--count]);
    return *this;
  }
  PlainText& put(char c) {
    if (length_ < room_) {
      begin_[length_++] = c;
      begin_[length_] = '\0';
    } else {
      fits_ = false;
    }
    return *this;
  }
  void cut_after_last(char c) {
    while (length_ > 0 && begin_[length_ - 1] != c) --length_;
    begin_[length_] = '\0';
  }
  // Whether nothing had to be left out.
  bool fits() const { return fits_; }

 private:
  char* begin_;
  unsigned room_;
  unsigned length_ = 0;
  bool fits_ = true;
};

}  // namespace prewarm::image
