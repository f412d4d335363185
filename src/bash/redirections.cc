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

bool add_open(const REDIRECT* r, Redirections& out) {
  SetUp s;
  s.kind = OperationKind::open;
  if (!expand(r->redirectee.filename, s.path) || s.path.empty() || !is_plain_file_name(s.path)) {
    return false;
  }
  s.fd = r->redirector.dest;
  s.flags = r->flags;
  s.mode = 0666;
  s.error_prefix = error_prefix();
  out.set_up.push_back(std::move(s));
  if (r->instruction == r_err_and_out || r->instruction == r_append_err_and_out) {
    SetUp both;
    both.kind = OperationKind::dup;
    both.fd = 2;
    both.other = 1;
    out.set_up.push_back(std::move(both));
  }
  return true;
}

bool add_close(int fd, Redirections& out) {
  SetUp s;
  s.kind = OperationKind::close;
  s.fd = fd;
  out.set_up.push_back(std::move(s));
  return true;
}

bool add_dup(int fd, int other, Redirections& out) {
  SetUp s;
  s.kind = OperationKind::dup;
  s.fd = fd;
  s.other = other;
  out.set_up.push_back(std::move(s));
  return true;
}

// N>&WORD, where the word is a number or a dash.
bool add_dup_word(const REDIRECT* r, Redirections& out) {
  std::string word;
  if (!expand(r->redirectee.filename, word)) return false;
  if (word == "-") return add_close(r->redirector.dest, out);
  if (word.empty() || word.size() > 4 || !all_digits(word.c_str())) return false;
  return add_dup(r->redirector.dest, std::stoi(word), out);
}

// The text of a here-document or here-string, if expanding it has no effect.
bool document_text(const REDIRECT* r, std::string& out) {
  WORD_DESC* word = r->redirectee.filename;
  const char* text = word->word == nullptr ? "" : word->word;
  const bool is_string = r->instruction == r_reading_string;
  if (std::strpbrk(text, "$`\\'\"~") == nullptr || (!is_string && (word->flags & W_QUOTED) != 0)) {
    out = text;
  } else {
    // Redirections don't see the assignments that precede the command.
    if (temporary_env != nullptr || posixly_correct != 0) return false;
    if (!(is_string ? is_pure_text(text) : is_pure_document(text))) return false;
    char* expanded = is_string ? expand_assignment_string_to_string(word->word, 0)
                               : expand_string_to_string(word->word, Q_HERE_DOCUMENT);
    out = expanded == nullptr ? "" : expanded;
    std::free(expanded);
  }
  if (is_string) out += '\n';
  return true;
}

// bash, too, passes a short document through a pipe, and /dev/null for an empty one.
bool add_document(const REDIRECT* r, Redirections& out) {
  constexpr std::size_t kMostBytes = 4096;  // a pipe holds that much, whatever its size
  std::string text;
  if (shell_compatibility_level <= 50 || !document_text(r, text) || text.size() > kMostBytes) {
    return false;
  }
  if (text.empty()) {
    SetUp s;
    s.kind = OperationKind::open;
    s.fd = r->redirector.dest;
    s.path = "/dev/null";
    s.flags = O_RDONLY;
    out.set_up.push_back(std::move(s));
    return true;
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  os::Fd reader(ends[0]);
  const os::Fd writer(ends[1]);
  if (::write(writer.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return false;
  }
  const int number = Redirections::kFirstDocument + static_cast<int>(out.documents.size());
  out.documents.push_back(std::move(reader));
  return add_dup(r->redirector.dest, number, out) && add_close(number, out);
}

bool add_one(const REDIRECT* r, Redirections& out) {
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
    case r_reading_until:
    case r_deblank_reading_until:
    case r_reading_string:
      return add_document(r, out);
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

bool translate(REDIRECT* list, Redirections& out) {
  for (const REDIRECT* r = list; r != nullptr; r = r->next) {
    if (!add_one(r, out)) return false;
  }
  return true;
}

}  // namespace prewarm::bash
