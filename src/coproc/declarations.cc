// SPDX-License-Identifier: MIT
#include "coproc/declarations.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <span>

#include "os/fd.h"

// The core is built without exceptions.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace prewarm::coproc {
namespace {

constexpr std::size_t kMaxFileBytes = 1 << 20;
constexpr unsigned kMaxWorkers = 1024;
constexpr unsigned kMaxSeconds = 86'400 * 30;
constexpr unsigned kMaxCount = 1'000'000'000;
constexpr std::string_view kArgument = "argument-";

constexpr const char* kProtocols[] = {"auto",        "capers", "fcli", "bazel-json",
                                      "bazel-proto", "ready",  "batch"};

// A key, the member it sets, and what may be said.
template <class T>
struct Number {
  std::string_view key;
  unsigned T::* member;
  unsigned least;
  unsigned most;
};

constexpr Number<Declaration> kNumbers[] = {
    {"workers", &Declaration::workers, 1, kMaxWorkers},
    {"spare", &Declaration::spare, 0, kMaxWorkers},
    {"requests", &Declaration::max_requests, 0, kMaxCount},
    {"memory-mib", &Declaration::max_mib, 0, kMaxCount},
    {"idle-seconds", &Declaration::idle_seconds, 0, kMaxSeconds},
    {"start-seconds", &Declaration::start_seconds, 1, kMaxSeconds},
    {"timeout-seconds", &Declaration::timeout_seconds, 0, kMaxSeconds},
};

constexpr Number<Limits> kLimitNumbers[] = {
    {"workers", &Limits::workers, 1, kMaxWorkers},
    {"idle-seconds", &Limits::idle_seconds, 0, kMaxSeconds},
};

struct Flag {
  std::string_view key;
  bool Declaration::* member;
};

constexpr Flag kFlags[] = {
    {"stdin", &Declaration::takes_stdin},
    {"per-directory", &Declaration::by_directory},
};

struct List {
  std::string_view key;
  std::vector<std::string> Declaration::* member;
  bool may_be_empty;
};

constexpr List kLists[] = {
    {"run", &Declaration::run, false},
    {"adapter-options", &Declaration::adapter_options, true},
    {"environment", &Declaration::environment, true},
};

constexpr std::string_view kTextKeys[] = {"protocol", "affinity"};
constexpr std::string_view kTopKeys[] = {"limits", "command"};

// How many letters have to be changed, added or taken away.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0U);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j + 1] + 1, row[j] + 1});
    }
  }
  return row.back();
}

// The nearest of `known`, if it is near enough that it may have been meant.
std::optional<std::string_view> nearest(std::string_view key,
                                        std::span<const std::string_view> known) {
  constexpr std::size_t kLongestKey = 64;  // nothing longer was meant for a key of ours
  if (key.size() > kLongestKey) return {};
  const auto best = std::min_element(known.begin(), known.end(), [key](auto a, auto b) {
    return distance(key, a) < distance(key, b);
  });
  if (best == known.end() || distance(key, *best) > std::max<std::size_t>(2, best->size() / 3)) {
    return {};
  }
  return *best;
}

// What people read is on one line, whatever is in the file.
std::string printable(std::string_view text) {
  constexpr std::size_t kMost = 80;
  std::string result(text.substr(0, kMost));
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '?';
  }
  return text.size() > kMost ? result + "..." : result;
}

const char* kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "something else";
  }
}

bool is_name(std::string_view name) {
  return std::none_of(name.begin(), name.end(),
                      [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; });
}

bool is_variable_pattern(std::string_view text) {
  if (text.ends_with('*')) text.remove_suffix(1);
  return !text.empty() && text.find_first_of(std::string_view("=*\0", 3)) == text.npos;
}

// Reads one file; remembers the first thing that is wrong.
class Reader {
 public:
  explicit Reader(std::string_view name) : name_(name) {}

  std::expected<Declarations, std::string> read(const toml::table& file);

 private:
  // The path of keys to where the reader is, for messages.
  using Place = std::string;

  bool fail(const toml::source_region& where, const Place& place, std::string_view what);
  bool fail(const toml::node& node, const Place& place, std::string_view expected);
  bool unknown(const toml::key& key, const Place& place, std::span<const std::string_view> known);

  bool read_limits(const toml::node& node);
  bool read_commands(const toml::node& node);
  bool read_command(const toml::key& name, const toml::node& node);
  bool read_setting(Declaration& to, const toml::key& key, const toml::node& value,
                    const Place& place);
  bool read_protocol(Declaration& to, const toml::node& value, const Place& place);
  bool read_affinity(Declaration& to, const toml::node& value, const Place& place);
  bool read_list(const List& list, Declaration& to, const toml::node& value, const Place& place);
  bool check(const Declaration& declaration, const toml::node& node, const Place& place);

  template <class T>
  bool read_number(const Number<T>& number, T& to, const toml::node& value, const Place& place);

  std::string_view name_;
  std::string error_;
  Declarations result_;
};

bool Reader::fail(const toml::source_region& where, const Place& place, std::string_view what) {
  if (!error_.empty()) return false;
  error_ = std::string(name_) + ":" + std::to_string(where.begin.line) + ": ";
  if (!place.empty()) error_ += place + ": ";
  error_ += what;
  return false;
}

bool Reader::fail(const toml::node& node, const Place& place, std::string_view expected) {
  std::string what = kind_of(node);
  if (const auto* text = node.as_string()) what = "\"" + printable(text->get()) + "\"";
  if (const auto* number = node.as_integer()) what = std::to_string(number->get());
  return fail(node.source(), place, what + " is not what is expected: " + std::string(expected));
}

bool Reader::unknown(const toml::key& key, const Place& place,
                     std::span<const std::string_view> known) {
  std::string what = "no such key";
  if (const auto meant = nearest(key.str(), known)) {
    what += "; is " + std::string(*meant) + " meant?";
  } else {
    what += "; there are";
    for (const auto k : known) what += " " + std::string(k);
  }
  return fail(key.source(), place, what);
}

template <class T>
bool Reader::read_number(const Number<T>& number, T& to, const toml::node& value,
                         const Place& place) {
  const auto* integer = value.as_integer();
  if (integer == nullptr || integer->get() < number.least || integer->get() > number.most) {
    return fail(
        value, place,
        "an integer from " + std::to_string(number.least) + " to " + std::to_string(number.most));
  }
  to.*number.member = static_cast<unsigned>(integer->get());
  return true;
}

bool Reader::read_list(const List& list, Declaration& to, const toml::node& value,
                       const Place& place) {
  const auto* array = value.as_array();
  if (array == nullptr) return fail(value, place, "an array of strings");
  for (const auto& element : *array) {
    const auto* text = element.as_string();
    if (text == nullptr || text->get().find('\0') != std::string::npos) {
      return fail(element, place, "a string without NUL");
    }
    (to.*list.member).push_back(text->get());
  }
  if (array->empty() && !list.may_be_empty) return fail(value, place, "at least one string");
  return true;
}

bool Reader::read_protocol(Declaration& to, const toml::node& value, const Place& place) {
  std::string expected = "one of";
  for (std::size_t i = 0; i < std::size(kProtocols); ++i) {
    if (value.value<std::string_view>() == std::string_view(kProtocols[i])) {
      to.protocol = static_cast<Protocol>(i);
      return true;
    }
    expected += std::string(" \"") + kProtocols[i] + "\"";
  }
  return fail(value, place, expected);
}

bool Reader::read_affinity(Declaration& to, const toml::node& value, const Place& place) {
  const auto text = value.value<std::string_view>();
  if (text && (*text == "none" || *text == "directory" || affinity_argument(*text) > 0)) {
    to.affinity = *text;
    return true;
  }
  return fail(value, place, R"("none", "directory", or "argument-1" to "argument-9")");
}

bool Reader::read_setting(Declaration& to, const toml::key& key, const toml::node& value,
                          const Place& place) {
  for (const auto& number : kNumbers) {
    if (key == number.key) return read_number(number, to, value, place);
  }
  for (const auto& list : kLists) {
    if (key == list.key) return read_list(list, to, value, place);
  }
  for (const auto& [name, member] : kFlags) {
    if (key != name) continue;
    const auto* flag = value.as_boolean();
    if (flag == nullptr) return fail(value, place, "true or false");
    to.*member = flag->get();
    return true;
  }
  if (key == "protocol") return read_protocol(to, value, place);
  if (key == "affinity") return read_affinity(to, value, place);
  std::vector<std::string_view> known(std::begin(kTextKeys), std::end(kTextKeys));
  for (const auto& number : kNumbers) known.push_back(number.key);
  for (const auto& list : kLists) known.push_back(list.key);
  for (const auto& flag : kFlags) known.push_back(flag.key);
  return unknown(key, place, known);
}

// What several keys say together, and texts that have a form.
bool Reader::check(const Declaration& declaration, const toml::node& node, const Place& place) {
  const auto& run = declaration.run;
  if (!run.empty() && (run[0].empty() || (run[0][0] != '/' && run[0].contains('/')))) {
    return fail(node.source(), place + ".run",
                "\"" + printable(run[0]) + "\" is not what is expected: the name of a program on " +
                    "PATH, or an absolute path");
  }
  for (const auto& variable : declaration.environment) {
    if (is_variable_pattern(variable)) continue;
    return fail(node.source(), place + ".environment",
                "\"" + printable(variable) +
                    "\" is not what is expected: the name of a variable, "
                    "or the beginning of names and *");
  }
  if (declaration.spare > declaration.workers) {
    return fail(node.source(), place + ".spare",
                std::to_string(declaration.spare) + " is more than there are workers (" +
                    std::to_string(declaration.workers) + ")");
  }
  return true;
}

bool Reader::read_command(const toml::key& name, const toml::node& node) {
  const Place place = "command." + printable(name.str());
  const bool has_directory = name.str().contains('/');
  if (name.str().empty() || !is_name(name.str()) ||
      (has_directory && (name.str()[0] != '/' || name.str().ends_with('/')))) {
    return fail(name.source(), place,
                "a command's name is the one that scripts call it by, without a directory, or an "
                "absolute path in quotes");
  }
  const auto* table = node.as_table();
  if (table == nullptr) return fail(node, place, "a table, [" + place + "]");
  Declaration declaration;
  declaration.name = name.str();
  for (const auto& [key, value] : *table) {
    if (!read_setting(declaration, key, value, place + "." + printable(key.str()))) return false;
  }
  if (!check(declaration, node, place)) return false;
  result_.commands.push_back(std::move(declaration));
  return true;
}

bool Reader::read_commands(const toml::node& node) {
  const auto* table = node.as_table();
  if (table == nullptr) return fail(node, "command", "tables, [command.NAME]");
  for (const auto& [key, value] : *table) {
    if (!read_command(key, value)) return false;
  }
  return true;
}

bool Reader::read_limits(const toml::node& node) {
  const auto* table = node.as_table();
  if (table == nullptr) return fail(node, "limits", "a table, [limits]");
  for (const auto& [key, value] : *table) {
    const Place place = "limits." + printable(key.str());
    const auto number = std::find_if(std::begin(kLimitNumbers), std::end(kLimitNumbers),
                                     [&key = key](const auto& n) { return key == n.key; });
    if (number == std::end(kLimitNumbers)) {
      std::vector<std::string_view> known;
      for (const auto& n : kLimitNumbers) known.push_back(n.key);
      return unknown(key, place, known);
    }
    if (!read_number(*number, result_.limits, value, place)) return false;
  }
  return true;
}

std::expected<Declarations, std::string> Reader::read(const toml::table& file) {
  for (const auto& [key, value] : file) {
    if (key == "limits") {
      read_limits(value);
    } else if (key == "command") {
      read_commands(value);
    } else {
      unknown(key, printable(key.str()), kTopKeys);
    }
    if (!error_.empty()) return std::unexpected(std::move(error_));
  }
  return std::move(result_);
}

os::Result<std::string> contents_of(const std::string& path) {
  // A FIFO with nobody at its other end must not hold us up.
  const os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return os::failed("open", path);
  std::string text;
  for (;;) {
    const std::size_t before = text.size();
    text.resize(before + 65536);
    const ssize_t n = ::read(file.get(), text.data() + before, text.size() - before);
    text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os::failed("read", path);
    if (n == 0) return text;
    if (text.size() > kMaxFileBytes) return os::failed_with(EFBIG, "read", path);
  }
}

std::string home_directory() {
  if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') return home;
  return {};
}

}  // namespace

const char* protocol_name(Protocol protocol) {
  return kProtocols[static_cast<std::size_t>(protocol)];
}

unsigned affinity_argument(std::string_view affinity) {
  if (affinity.size() != kArgument.size() + 1 || !affinity.starts_with(kArgument)) return 0;
  const char digit = affinity.back();
  return digit >= '1' && digit <= '9' ? static_cast<unsigned>(digit - '0') : 0;
}

const Declaration* Declarations::find(std::string_view called, std::string_view path) const {
  const auto named = [this](std::string_view name) -> const Declaration* {
    const auto at = std::find_if(commands.begin(), commands.end(),
                                 [name](const Declaration& d) { return d.name == name; });
    return at == commands.end() ? nullptr : &*at;
  };
  if (const auto* exact = named(path); exact != nullptr && path.starts_with('/')) return exact;
  const auto slash = called.rfind('/');
  const auto base = slash == called.npos ? called : called.substr(slash + 1);
  return base.empty() ? nullptr : named(base);
}

std::string declarations_path() {
  if (const char* file = std::getenv("PREWARM_DECLARATIONS"); file != nullptr && *file != '\0') {
    return file;
  }
  constexpr const char* kFile = "/prewarm/coprocesses.toml";
  // The XDG specification has relative paths ignored.
  if (const char* config = std::getenv("XDG_CONFIG_HOME"); config != nullptr && config[0] == '/') {
    return std::string(config) + kFile;
  }
  const std::string home = home_directory();
  return home.empty() ? std::string() : home + "/.config" + kFile;
}

os::Result<Declarations> read_declarations(const std::string& path) {
  if (path.empty()) return Declarations{};
  const auto text = contents_of(path);
  if (!text) {
    if (text.error().code == ENOENT || text.error().code == ENOTDIR) return Declarations{};
    return std::unexpected(text.error());
  }
  auto declarations = parse_declarations(*text, path);
  if (!declarations) return os::failed_with(0, "declarations:", declarations.error());
  return std::move(*declarations);
}

std::expected<Declarations, std::string> parse_declarations(std::string_view text,
                                                            std::string_view name) {
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const auto& error = parsed.error();
    return std::unexpected(std::string(name) + ":" + std::to_string(error.source().begin.line) +
                           ": " + printable(error.description()));
  }
  return Reader(name).read(parsed.table());
}

}  // namespace prewarm::coproc
