// SPDX-License-Identifier: GPL-3.0-or-later
#include "bash/redirections.h"

#include <fcntl.h>
#include <libintl.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "bash/words.h"

namespace prewarm::bash {
namespace {

using launch::OperationKind;
using launch::SetUp;

// What bash's internal_error writes before the file name.
std::string error_prefix() {
  std::string prefix = get_name_for_error();
  const int line = executing_line_number();
  if (line > 0) {
    const char* word = gettext(" line ");
    prefix += std::string(":") + word + std::to_string(line) + ": ";
  } else {
    prefix += ": ";
  }
  return prefix;
}

// The expansion of a redirection's word. False if it isn't one plain word, or not pure.
bool expand(WORD_DESC* word, std::string& out) {
  std::vector<std::string> words;
  // Redirections don't see the assignments that precede the command.
  if (!is_literal(word->word) && temporary_env != nullptr) return false;
  if (!expand_pure(word, words) || words.size() != 1) return false;
  out = std::move(words[0]);
  return true;
}

// bash opens some names by itself: /dev/tcp, /dev/fd and the like.
bool is_plain_file_name(const std::string& name) {
  return !name.starts_with("/dev/") || name == "/dev/null" || name == "/dev/zero" ||
         name == "/dev/full" || name == "/dev/tty";
}

bool add_open(const REDIRECT* r, std::vector<SetUp>& out) {
  SetUp s;
  s.kind = OperationKind::open;
  if (!expand(r->redirectee.filename, s.path) || s.path.empty() || !is_plain_file_name(s.path)) {
    return false;
  }
  s.fd = r->redirector.dest;
  s.flags = r->flags;
  s.mode = 0666;
  s.error_prefix = error_prefix();
  out.push_back(std::move(s));
  if (r->instruction == r_err_and_out || r->instruction == r_append_err_and_out) {
    SetUp both;
    both.kind = OperationKind::dup;
    both.fd = 2;
    both.other = 1;
    out.push_back(std::move(both));
  }
  return true;
}

bool add_close(int fd, std::vector<SetUp>& out) {
  SetUp s;
  s.kind = OperationKind::close;
  s.fd = fd;
  out.push_back(std::move(s));
  return true;
}

bool add_dup(int fd, int other, std::vector<SetUp>& out) {
  SetUp s;
  s.kind = OperationKind::dup;
  s.fd = fd;
  s.other = other;
  out.push_back(std::move(s));
  return true;
}

// N>&WORD, where the word is a number or a dash.
bool add_dup_word(const REDIRECT* r, std::vector<SetUp>& out) {
  std::string word;
  if (!expand(r->redirectee.filename, word)) return false;
  if (word == "-") return add_close(r->redirector.dest, out);
  if (word.empty() || word.size() > 4 || !all_digits(word.c_str())) return false;
  return add_dup(r->redirector.dest, std::stoi(word), out);
}

bool add_one(const REDIRECT* r, std::vector<SetUp>& out) {
  if ((r->rflags & REDIR_VARASSIGN) != 0 || r->redirector.dest < 0) return false;
  switch (r->instruction) {
    case r_output_direction:
    case r_err_and_out:
      if (noclobber != 0) return false;
      return add_open(r, out);
    case r_appending_to:
    case r_input_direction:
    case r_append_err_and_out:
    case r_input_output:
    case r_output_force:
      return add_open(r, out);
    case r_duplicating_input:
    case r_duplicating_output:
      return r->redirectee.dest >= 0 && add_dup(r->redirector.dest, r->redirectee.dest, out);
    case r_duplicating_input_word:
    case r_duplicating_output_word:
      return add_dup_word(r, out);
    case r_close_this:
      return add_close(r->redirector.dest, out);
    default:
      return false;
  }
}

}  // namespace

bool translate(REDIRECT* list, std::vector<launch::SetUp>& out) {
  for (const REDIRECT* r = list; r != nullptr; r = r->next) {
    if (!add_one(r, out)) return false;
  }
  return true;
}

}  // namespace prewarm::bash
