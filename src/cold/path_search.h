// SPDX-License-Identifier: MIT
//
// The names under which execvp(3) tries a program, one after the other, and which of its failures
// end the trying.
//
// Restrictions: used in a child that shares its parent's memory. No C library, no allocation,
// nothing is written but the object itself.
#pragma once

#include <limits.h>

#include <cerrno>

namespace prewarm::cold {

// Where is searched without PATH: glibc's confstr(_CS_PATH).
inline constexpr const char* kDefaultPath = "/bin:/usr/bin";

class PathSearch {
 public:
  // Just this name, whatever it is.
  explicit PathSearch(const char* name) : file_(name) {}

  // `file` in the directories of `path`, which is a value of PATH; as it is if it has a slash, or
  // is empty. Both must outlive the search.
  PathSearch(const char* file, const char* path)
      : file_(file), rest_(is_plain(file) ? path : nullptr), in_path_(rest_ != nullptr) {}

  // The next name to try, valid until the next call; null when there is none left. An empty
  // element of PATH is the working directory; one that makes too long a name is left out.
  const char* next() {
    if (!in_path_) {
      const char* const name = file_;
      file_ = nullptr;
      return name;
    }
    while (rest_ != nullptr) {
      unsigned used = 0;
      bool fits = true;
      for (; *rest_ != '\0' && *rest_ != ':'; ++rest_) fits = fits && put(*rest_, used);
      rest_ = *rest_ == ':' ? rest_ + 1 : nullptr;
      if (used > 0) fits = fits && put('/', used);
      for (const char* c = file_; *c != '\0'; ++c) fits = fits && put(*c, used);
      if (!fits) continue;
      name_[used] = '\0';
      return name_;
    }
    return nullptr;
  }

  // To be told of each exec that failed. Whether the next name should be tried: if this one wasn't
  // there, or not for us. What else may go wrong means that the program has been found.
  bool goes_on_after(int error) {
    error_ = error;
    switch (error) {
      case EACCES:
        denied_ = true;
        return true;
      case ENOENT:
      case ENOTDIR:
      case ESTALE:
      case ENODEV:
      case ETIMEDOUT:
        return true;
      default:
        denied_ = false;
        return false;
    }
  }

  // What the whole search failed with: a program that was denied counts for more than one that was
  // not there.
  int error() const { return denied_ ? EACCES : error_; }

 private:
  static bool is_plain(const char* file) {
    if (*file == '\0') return false;
    for (const char* c = file; *c != '\0'; ++c) {
      if (*c == '/') return false;
    }
    return true;
  }

  bool put(char c, unsigned& used) {
    if (used + 1 >= sizeof name_) return false;
    name_[used++] = c;
    return true;
  }

  const char* file_;
  const char* rest_ = nullptr;
  bool in_path_ = false;
  bool denied_ = false;
  int error_ = ENOENT;
  char name_[PATH_MAX];
};

}  // namespace prewarm::cold
