// SPDX-License-Identifier: MIT
#include "cli/bench_deps_linker.h"

#include <sstream>
#include <string_view>

#include "prewarm/command.h"

namespace prewarm::cli {
namespace {

constexpr std::string_view kOutput = "PREWARM_OUTPUT";
constexpr std::string_view kInputs = "PREWARM_INPUTS";

// Words of a line in which '"' quotes and '\' escapes.
std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  bool quoted = false;
  bool any = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"') {
      quoted = !quoted;
      any = true;
    } else if (c == ' ' && !quoted) {
      if (any) words.push_back(std::exchange(word, {}));
      any = false;
    } else {
      word += c == '\\' && i + 1 < line.size() ? line[++i] : c;
      any = true;
    }
  }
  if (any) words.push_back(word);
  return words;
}

}  // namespace

std::vector<std::string> DepsLinkLine::parse(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(' ') || line.find(kOutput) == std::string::npos) continue;
    const std::vector<std::string> all = split(line);
    std::vector<std::string> words;
    for (std::size_t i = 1; i < all.size(); ++i) {
      // The plugin is for objects that aren't compiled yet; loading it takes longer than linking.
      if (all[i] == "-plugin") {
        ++i;
      } else if (!all[i].starts_with("-plugin-opt=")) {
        words.push_back(all[i]);
      }
    }
    return words;
  }
  return {};
}

os::Result<DepsLinkLine> DepsLinkLine::ask(const std::string& compiler,
                                           const std::vector<std::string>& flags) {
  Command how(compiler);
  how.args({"-###", "-o", kOutput, std::string("-Wl,") + std::string(kInputs)});
  for (const std::string& flag : flags) how.arg(flag);
  const auto said = how.env("LC_ALL", "C").capture();
  if (!said) return std::unexpected(said.error());
  DepsLinkLine line;
  line.words_ = parse(said->err);
  if (line.words_.empty()) return os::failed_with(0, "learn how to link from", compiler);

  const auto linker = Command(compiler).arg("-print-prog-name=ld").capture();
  if (!linker) return std::unexpected(linker.error());
  line.linker_ = linker->out.substr(0, linker->out.find('\n'));
  if (line.linker_.empty()) return os::failed_with(0, "learn which linker is used by", compiler);
  return line;
}

std::vector<std::string> DepsLinkLine::words(const std::string& output,
                                             const std::vector<std::string>& inputs) const {
  std::vector<std::string> words = {linker_};
  for (const std::string& word : words_) {
    if (word == kInputs) {
      words.insert(words.end(), inputs.begin(), inputs.end());
    } else {
      words.push_back(word == kOutput ? output : word);
    }
  }
  return words;
}

}  // namespace prewarm::cli
