// SPDX-License-Identifier: GPL-3.0-or-later
#include "bash/scan.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <set>
#include <string>

#include "bash/bash_api.h"
#include "bash/patching.h"
#include "bash/words.h"

namespace prewarm::bash {

using launch::ScanEntry;
using launch::ScanTable;

namespace {

ScanTable* table;
std::set<std::string>* functions;
int (*original_parse_command)();

void walk(const COMMAND* command, std::uint32_t flags);

void add(const char* name, std::uint32_t flags) {
  const unsigned n = table->count.load();
  for (unsigned i = 0; i < n; ++i) {
    ScanEntry& e = table->entries[i];
    if (std::strcmp(e.name, name) != 0) continue;
    ++e.count;
    e.flags |= flags;
    return;
  }
  if (n == ScanTable::kMaxEntries || std::strlen(name) >= sizeof table->entries->name) return;
  ScanEntry& e = table->entries[n];
  std::strcpy(e.name, name);
  char* path = search_for_command(name, 0);
  if (path != nullptr && std::strlen(path) < sizeof e.path) std::strcpy(e.path, path);
  std::free(path);
  e.count = 1;
  e.flags = flags;
  table->count.store(n + 1, std::memory_order_release);
}

// The text between `$(` at `at` and its closing parenthesis.
std::string_view substitution_at(std::string_view text, std::size_t at) {
  int depth = 0;
  char quote = '\0';
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      ++i;
    } else if (quote != '\0') {
      if (c == quote) quote = '\0';
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '(') {
      ++depth;
    } else if (c == ')' && --depth == 0) {
      return text.substr(at + 2, i - at - 2);
    }
  }
  return {};
}

void walk_word(std::string_view text, std::uint32_t flags) {
  for (std::size_t at = 0; (at = text.find("$(", at)) != std::string_view::npos;) {
    const bool arithmetic = at + 2 < text.size() && text[at + 2] == '(';
    const std::string inner(substitution_at(text, at));
    at += 2;
    if (arithmetic || inner.empty()) continue;
    COMMAND* command = parse_string_to_command(const_cast<char*>(inner.c_str()), SX_NOLONGJMP);
    if (command == nullptr) continue;
    walk(command, flags | launch::kScanSubshell);
    dispose_command(command);
    at += inner.size();
  }
}

void walk_redirects(const REDIRECT* r, std::uint32_t flags) {
  for (; r != nullptr; r = r->next) {
    switch (r->instruction) {
      case r_duplicating_input:
      case r_duplicating_output:
      case r_close_this:
      case r_move_input:
      case r_move_output:
        break;
      default:
        walk_word(r->redirectee.filename->word, flags);
    }
  }
}

void walk_simple(const SIMPLE_COM* command, std::uint32_t flags) {
  bool named = false;
  bool skip_command = false;
  for (const WORD_LIST* w = command->words; w != nullptr; w = w->next) {
    const char* text = w->word->word;
    walk_word(text, flags);
    if (named || (w->word->flags & W_ASSIGNMENT) != 0) continue;
    // `command NAME` runs NAME.
    if (std::strcmp(text, "command") == 0 && !skip_command) {
      skip_command = true;
      continue;
    }
    named = true;
    if (!is_literal(text)) {
      ++table->variable_names;
      continue;
    }
    if (functions->contains(text) || find_function(text) != nullptr) continue;
    if (find_shell_builtin(const_cast<char*>(text)) != nullptr) continue;
    add(text, flags);
  }
  walk_redirects(command->redirects, flags);
}

void walk_words(const WORD_LIST* words, std::uint32_t flags) {
  for (; words != nullptr; words = words->next) walk_word(words->word->word, flags);
}

void walk_connection(const CONNECTION* c, std::uint32_t flags) {
  std::uint32_t first = flags;
  std::uint32_t second = flags;
  if (c->connector == '&') first |= launch::kScanBackground;
  if (c->connector == '|') {
    first |= launch::kScanSubshell;
    second |= launch::kScanSubshell;
  }
  walk(c->first, first);
  walk(c->second, second);
}

void walk(const COMMAND* command, std::uint32_t flags) {
  if (command == nullptr) return;
  walk_redirects(command->redirects, flags);
  const std::uint32_t loop = flags | launch::kScanLoop;
  switch (command->type) {
    case cm_simple:
      return walk_simple(command->value.Simple, flags);
    case cm_connection:
      return walk_connection(command->value.Connection, flags);
    case cm_for:
      walk_words(command->value.For->map_list, flags);
      return walk(command->value.For->action, loop);
    case cm_select:
      return walk(command->value.Select->action, loop);
    case cm_arith_for:
      return walk(command->value.ArithFor->action, loop);
    case cm_while:
    case cm_until:
      walk(command->value.While->test, loop);
      return walk(command->value.While->action, loop);
    case cm_if:
      walk(command->value.If->test, flags);
      walk(command->value.If->true_case, flags);
      return walk(command->value.If->false_case, flags);
    case cm_case:
      walk_word(command->value.Case->word->word, flags);
      for (const PATTERN_LIST* p = command->value.Case->clauses; p != nullptr; p = p->next) {
        walk(p->action, flags);
      }
      return;
    case cm_group:
      return walk(command->value.Group->command, flags);
    case cm_subshell:
      return walk(command->value.Subshell->command, flags | launch::kScanSubshell);
    case cm_function_def:
      functions->insert(command->value.Function_def->name->word);
      return walk(command->value.Function_def->command, flags | launch::kScanFunction);
    default:
      return;
  }
}

int hook_parse_command() {
  const int result = original_parse_command();
  if (result == 0) walk(global_command, 0);
  return result;
}

}  // namespace

bool look(int fd) {
  void* at = ::mmap(nullptr, sizeof(ScanTable), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (at == MAP_FAILED) return false;
  table = static_cast<ScanTable*>(at);
  functions = new std::set<std::string>;
  Patcher patcher;
  if (!patcher.entry(reinterpret_cast<void*>(&::parse_command),
                     reinterpret_cast<void*>(&hook_parse_command),
                     reinterpret_cast<void**>(&original_parse_command)) ||
      !patcher.finish()) {
    return false;
  }
  std::atexit([] { table->done.store(1, std::memory_order_release); });
  return true;
}

}  // namespace prewarm::bash
