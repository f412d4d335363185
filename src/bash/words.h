// SPDX-License-Identifier: GPL-3.0-or-later
//
// Words that may be expanded in the shell although bash would expand them in a forked subshell:
// those for which nobody could tell the difference, because expanding them changes nothing, prints
// nothing and can't fail.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bash/bash_api.h"

namespace prewarm::bash {

// Whether expanding the text of a word is free of side effects and errors: literals, quotes, tilde,
// globs, and plain parameters (`$x`, `"${x}"`, `${x%.c}`, `$1`, `$?`) that aren't dynamic, nameref
// or unset under `set -u`.
bool is_pure_text(std::string_view text);

// The same for the body of a here-document, where quotes are ordinary characters.
bool is_pure_document(std::string_view text);

// Whether a word is its own expansion: no quoting, no expansion, no glob.
bool is_literal(std::string_view text);

// Appends what a pure word expands to, split as bash splits it. False, with nothing appended, if
// the word isn't pure or would be matched against file names. Touches none of the global lists of a
// word expansion that may be under way around it.
bool expand_pure(WORD_DESC* word, std::vector<std::string>& out);

}  // namespace prewarm::bash
