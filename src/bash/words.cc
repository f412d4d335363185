// SPDX-License-Identifier: GPL-3.0-or-later
#include "bash/words.h"

#include <cctype>
#include <cstring>
#include <string>

namespace prewarm::bash {
namespace {

bool is_name_start(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// A variable whose value is computed when it is read, or is another name, can differ between the
// shell and its subshell.
bool is_plain_variable(std::string_view name) {
  // `$_` is set anew for each command, also in a subshell.
  if (name == "_") return false;
  const std::string copy(name);
  SHELL_VAR* variable = find_variable(copy.c_str());
  if (variable == nullptr) {
    // A nameref to nothing is not found here and is unset for the expansion, too.
    return unbound_vars_is_error == 0;
  }
  if (variable->dynamic_value != nullptr || nameref_p(variable)) return false;
  if (value_cell(variable) == nullptr || invisible_p(variable)) return unbound_vars_is_error == 0;
  return true;
}

// Special and positional parameters that are the same in a subshell.
bool is_plain_special(char c) {
  if (unbound_vars_is_error != 0) return c == '?' || c == '$' || c == '#' || c == '@' || c == '*';
  return std::strchr("?$#@*!0123456789", c) != nullptr;
}

class Scanner {
 public:
  explicit Scanner(std::string_view text, bool document = false)
      : text_(text), document_(document), in_double_quotes_(document) {}

  bool pure() {
    while (at_ < text_.size()) {
      if (!step()) return false;
    }
    return true;
  }

 private:
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  // Past one character, quoted section or parameter. False: not pure.
  bool step() {
    const char c = peek();
    if (c == '\'' && !in_double_quotes_) return skip_single_quotes();
    if (c == '"' && !document_) {
      in_double_quotes_ = !in_double_quotes_;
      ++at_;
      return true;
    }
    if (c == '\\') {
      at_ += 2;
      return true;
    }
    if (c == '`') return false;
    if ((c == '<' || c == '>') && peek(1) == '(') return false;
    // Braces and file names are expanded elsewhere.
    if (!in_double_quotes_ && std::strchr("*?[{()", c) != nullptr) return false;
    if (c == '$') return parameter();
    ++at_;
    return true;
  }

  bool skip_single_quotes() {
    const auto end = text_.find('\'', at_ + 1);
    if (end == std::string_view::npos) return false;
    at_ = end + 1;
    return true;
  }

  bool parameter() {
    const char next = peek(1);
    if (next == '{') return braced();
    // Command substitution, arithmetic, ANSI-C and locale quoting: left to the subshell.
    if (next == '(' || next == '[' || next == '\'' || next == '"') return false;
    if (is_name_start(next)) {
      std::size_t end = at_ + 1;
      while (end < text_.size() && is_name_char(text_[end])) ++end;
      const bool plain = is_plain_variable(text_.substr(at_ + 1, end - at_ - 1));
      at_ = end;
      return plain;
    }
    if (next != '\0' && std::strchr("?$#@*!-0123456789", next) != nullptr) {
      at_ += 2;
      return is_plain_special(next);
    }
    ++at_;  // a lone dollar sign
    return true;
  }

  // ${name}, ${#name}, ${name OP text}; the operators are those that only read.
  bool braced() {
    at_ += 2;
    if (peek() == '#' && (is_name_start(peek(1)))) ++at_;
    std::string_view name;
    if (is_name_start(peek())) {
      std::size_t end = at_;
      while (end < text_.size() && is_name_char(text_[end])) ++end;
      name = text_.substr(at_, end - at_);
      at_ = end;
      if (!is_plain_variable(name)) return false;
    } else if (peek() != '\0' && std::strchr("?#@*123456789", peek()) != nullptr &&
               peek(1) == '}') {
      if (!is_plain_special(peek())) return false;
      ++at_;
    } else {
      return false;
    }
    if (peek() == '}') {
      ++at_;
      return true;
    }
    if (!read_only_operator()) return false;
    return operand();
  }

  bool read_only_operator() {
    const char c = peek();
    if (c == ':') {
      if (peek(1) != '-' && peek(1) != '+') return false;
      at_ += 2;
      return true;
    }
    if (std::strchr("-+#%/^,", c) == nullptr) return false;
    while (at_ < text_.size() && text_[at_] == c) ++at_;
    return true;
  }

  // Up to the closing brace; the text itself must be pure.
  bool operand() {
    const bool outer = in_double_quotes_;
    while (at_ < text_.size() && peek() != '}') {
      // Single quotes inside braces inside double quotes mean different things in different
      // operators: left to the subshell.
      if (peek() == '\'' || peek() == '"') return false;
      if (!step()) return false;
    }
    in_double_quotes_ = outer;
    if (at_ >= text_.size()) return false;
    ++at_;
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool document_;
  bool in_double_quotes_;
};

}  // namespace

bool is_pure_text(std::string_view text) { return Scanner(text).pure(); }

bool is_pure_document(std::string_view text) { return Scanner(text, true).pure(); }

bool is_literal(std::string_view text) {
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 &&
        std::strchr("/._-+,:@%=", c) == nullptr) {
      return false;
    }
  }
  return !text.empty();
}

namespace {

// "…" from the first character to the last.
bool is_one_quotation(std::string_view text) {
  return text.size() >= 2 && text.front() == '"' && text.find('"', 1) == text.size() - 1;
}

}  // namespace

bool expand_pure(WORD_DESC* word, std::vector<std::string>& out) {
  constexpr int kAssignments = W_ASSIGNMENT | W_COMPASSIGN | W_ASSNBLTIN | W_ARRAYREF;
  if ((word->flags & kAssignments) != 0) return false;
  if (is_literal(word->word)) {
    out.emplace_back(word->word);
    return true;
  }
  if (posixly_correct != 0 || !is_pure_text(word->word)) return false;
  // Patterns written in the word have been refused, unless they were quoted.
  const bool quoted = std::strchr(word->word, '$') == nullptr || is_one_quotation(word->word);
  WORD_LIST* expanded = expand_word(word, 0);
  const std::size_t before = out.size();
  bool plain = true;
  for (const WORD_LIST* w = expanded; w != nullptr; w = w->next) {
    // The value of an unquoted variable can be a pattern.
    if (!quoted && std::strpbrk(w->word->word, "*?[(\\") != nullptr) plain = false;
    out.emplace_back(w->word->word);
  }
  dispose_words(expanded);
  if (!plain) out.resize(before);
  return plain;
}

}  // namespace prewarm::bash
