// SPDX-License-Identifier: MIT
#include "coproc/invocation.h"

#include <sys/wait.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <limits>
#include <string_view>

namespace prewarm::coproc {
namespace {

constexpr int kMaxSignal = 64;
constexpr unsigned kMaxWorkers = 1024;
constexpr std::string_view kConcurrent = "concurrent ";

std::optional<mode_t> parse_octal(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value > 0777) {
    return {};
  }
  return static_cast<mode_t>(value);
}

bool is_absolute(const std::string& path) { return !path.empty() && path[0] == '/'; }

std::unexpected<std::string> bad(const Field& field, const char* what) {
  return std::unexpected("its field " + field.name + " " + what + ": " + field.value);
}

// The fields that are text: where each goes, and whether it must be an absolute path.
struct TextField {
  std::string_view name;
  std::string Invocation::* member;
  bool is_path;
};
constexpr TextField kTextFields[] = {
    {"stdin", &Invocation::in, true},           {"stdout", &Invocation::out, true},
    {"stderr", &Invocation::err, true},         {"program", &Invocation::program, true},
    {"affinity", &Invocation::affinity, false}, {"declarations", &Invocation::declarations, true},
    {"preload", &Invocation::preload, false},
};

std::expected<void, std::string> read_field(const Field& field, Invocation& to) {
  if (field.name == "arg") {
    to.arguments.push_back(field.value);
  } else if (field.name == "cwd") {
    if (!is_absolute(field.value)) return bad(field, "is no absolute path");
    to.directory = field.value;
  } else if (field.name == "umask") {
    to.umask = parse_octal(field.value);
    if (!to.umask) return bad(field, "is no file mode mask");
  } else if (field.name == "clear-env") {
    to.clear_environment = true;
  } else if (field.name == "env") {
    const auto equals = field.value.find('=');
    if (equals == std::string::npos || equals == 0) return bad(field, "is not NAME=VALUE");
    to.environment.push_back(field.value);
  } else if (field.name == "workers") {
    const auto n = parse_number(field.value, kMaxWorkers);
    if (!n) return bad(field, "is no number of workers");
    to.workers = static_cast<unsigned>(*n);
  } else if (field.name == "timeout-ms") {
    const auto n = parse_number(field.value, std::numeric_limits<std::uint32_t>::max());
    if (!n) return bad(field, "is no time in milliseconds");
    to.timeout = std::chrono::milliseconds(*n);
  }
  for (const auto& [name, member, is_path] : kTextFields) {
    if (field.name != name) continue;
    if (is_path && !is_absolute(field.value)) return bad(field, "is no absolute path");
    to.*member = field.value;
  }
  return {};
}

void read_usage(const Message& message, Outcome& outcome) {
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  const auto user = message.number("user-us", kMost);
  const auto system = message.number("system-us", kMost);
  if (!user || !system) return;
  outcome.usage = {*user, *system, message.number("max-rss-kib", kMost).value_or(0)};
}

}  // namespace

std::string umask_text(mode_t mask) {
  char text[8];
  std::snprintf(text, sizeof text, "%04o", static_cast<unsigned>(mask & 07777));
  return text;
}

const char* Invocation::variable(std::string_view name) const {
  for (auto v = environment.rbegin(); v != environment.rend(); ++v) {
    if (v->size() > name.size() && v->starts_with(name) && (*v)[name.size()] == '=') {
      return v->c_str() + name.size() + 1;
    }
  }
  return nullptr;
}

Outcome Outcome::of_wait_status(int status) {
  if (WIFSIGNALED(status)) return {.kind = Kind::killed, .value = WTERMSIG(status)};
  return exited(WEXITSTATUS(status));
}

Message to_message(const Invocation& invocation, std::uint32_t id) {
  Message message{"argv", id, {}};
  message.fields.reserve(invocation.arguments.size() + invocation.environment.size() + 10);
  for (const auto& a : invocation.arguments) message.add("arg", a);
  if (invocation.directory) message.add("cwd", *invocation.directory);
  if (invocation.umask) message.add("umask", umask_text(*invocation.umask));
  if (invocation.clear_environment) message.add("clear-env");
  for (const auto& v : invocation.environment) message.add("env", v);
  for (const auto& [name, member, is_path] : kTextFields) {
    if (!(invocation.*member).empty()) message.add(std::string(name), invocation.*member);
  }
  if (invocation.workers > 0) message.add("workers", std::to_string(invocation.workers));
  if (invocation.timeout) message.add("timeout-ms", std::to_string(invocation.timeout->count()));
  return message;
}

std::expected<Invocation, std::string> invocation_of(const Message& message) {
  Invocation invocation;
  for (const Field& field : message.fields) {
    if (auto read = read_field(field, invocation); !read) return std::unexpected(read.error());
  }
  if (invocation.arguments.empty()) return std::unexpected("it has no field arg");
  return invocation;
}

Message to_message(const Outcome& outcome, std::uint32_t id) {
  Message message{outcome.was_run() ? "status" : "error", id, {}};
  if (outcome.was_run()) {
    message.add(outcome.kind == Outcome::Kind::exited ? "exit" : "signal",
                std::to_string(outcome.value));
  }
  if (!outcome.reason.empty()) message.add("reason", outcome.reason);
  if (!outcome.message.empty()) message.add("message", outcome.message);
  if (outcome.usage) {
    message.add("user-us", std::to_string(outcome.usage->user_us));
    message.add("system-us", std::to_string(outcome.usage->system_us));
    message.add("max-rss-kib", std::to_string(outcome.usage->max_rss_kib));
  }
  if (outcome.retire) message.add("retire");
  return message;
}

std::expected<Outcome, std::string> outcome_of(const Message& message) {
  Outcome outcome;
  if (message.type == "status") {
    const auto status = message.number("exit", 255);
    const auto sig = message.number("signal", kMaxSignal);
    if (status.has_value() == (sig.has_value() && *sig > 0)) {
      return std::unexpected(
          "a status without exactly one of exit (0 to 255) and signal (1 to 64)");
    }
    outcome.kind = status ? Outcome::Kind::exited : Outcome::Kind::killed;
    outcome.value = static_cast<int>(status ? *status : *sig);
  } else if (message.type != "error") {
    return std::unexpected("an answer of the type " + message.type);
  }
  if (const auto* reason = message.find("reason")) outcome.reason = *reason;
  if (const auto* text = message.find("message")) outcome.message = *text;
  if (!outcome.was_run() && outcome.reason.empty()) outcome.reason = "refused";
  outcome.retire = message.find("retire") != nullptr;
  read_usage(message, outcome);
  return outcome;
}

Message version_request(std::uint32_t id) {
  Message message{"version", id, {}};
  message.add("version", std::to_string(kProtocolVersion));
  return message;
}

Message to_message(const Greeting& greeting, std::uint32_t id) {
  Message message = version_request(id);
  if (!greeting.implementation.empty()) message.add("implementation", greeting.implementation);
  if (greeting.concurrent > 1) {
    message.add("feature", std::string(kConcurrent) + std::to_string(greeting.concurrent));
  }
  if (greeting.takes_signals) message.add("feature", "signal");
  if (greeting.fresh) message.add("feature", "fresh");
  return message;
}

std::expected<Greeting, std::string> greeting_of(const Message& message) {
  if (message.type == "error") {
    const auto* text = message.find("message");
    return std::unexpected("it refuses: " + (text == nullptr ? std::string("error") : *text));
  }
  if (message.type != "version")
    return std::unexpected("it answers `version` with " + message.type);
  if (message.number("version", kProtocolVersion) != kProtocolVersion) {
    return std::unexpected("it speaks another version");
  }
  Greeting greeting;
  for (const auto& [name, value] : message.fields) {
    if (name == "implementation") greeting.implementation = value;
    if (name != "feature") continue;
    if (value == "signal") greeting.takes_signals = true;
    if (value == "fresh") greeting.fresh = true;
    if (!value.starts_with(kConcurrent)) continue;
    const auto n = parse_number(std::string_view(value).substr(kConcurrent.size()), kMaxConcurrent);
    if (!n || *n == 0) return std::unexpected("its feature is no number of requests: " + value);
    greeting.concurrent = static_cast<unsigned>(*n);
  }
  return greeting;
}

bool has_our_version(const Message& request) {
  return std::any_of(request.fields.begin(), request.fields.end(), [](const Field& field) {
    return field.name == "version" && field.value == std::to_string(kProtocolVersion);
  });
}

}  // namespace prewarm::coproc
