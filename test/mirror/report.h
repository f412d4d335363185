// SPDX-License-Identifier: MIT
//
// The mirror's report: `key: value` lines, sorted by key, so that two runs can be compared line by
// line. Values are escaped to printable ASCII; nothing that changes from run to run by nature
// (process ids, inode numbers, addresses) is ever written, only how it relates to something else.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace mirror {

class Report {
 public:
  // Keys are written once: a second add() with the same key is a mistake and aborts.
  void add(std::string key, std::string value);
  void add(std::string key, const char* value);
  void add_number(std::string key, long long value);
  void add_yes_no(std::string key, bool value);
  // "error ENOENT" for `error` as found in errno.
  void add_error(std::string key, int error);

  // All lines, sorted by key in byte order.
  [[nodiscard]] std::string text() const;

 private:
  std::map<std::string, std::string> lines_;
};

// One line of printable ASCII: \n, \t, \\ and \xNN for everything else.
std::string escape(std::string_view bytes);

// escape() for short values; length and FNV-1a hash for values of more than 300 bytes.
std::string digest(std::string_view bytes);

// A hash alone, for lists of values.
std::string hash_text(std::string_view bytes);

// "error ENOENT".
std::string error_text(int error);

// `number` with leading zeros, so that byte order of keys is numeric order.
std::string padded(unsigned long number, unsigned width);

std::string hexadecimal(unsigned long long number);

// With a leading zero, as modes are written.
std::string octal(unsigned number);

}  // namespace mirror
