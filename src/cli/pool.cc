// SPDX-License-Identifier: MIT
#include "cli/pool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <expected>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/commands.h"
#include "cli/locate.h"
#include "coproc/message.h"
#include "coproc/owner.h"
#include "coproc/owner_client.h"
#include "coproc/owner_socket.h"
#include "os/runtime_directory.h"

namespace prewarm::cli {
namespace {

constexpr off_t kMaxLog = 1 << 20;

// What the owner has to say goes there; the last mebibyte or so of it.
void write_to_log(const std::string& directory) {
  const std::string path = directory + "/pool.log";
  const os::Fd log(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct stat s;
  if (!log.valid() || ::fstat(log.get(), &s) != 0) return;
  if (s.st_size > kMaxLog && ::ftruncate(log.get(), 0) != 0) return;
  ::dup2(log.get(), 2);
}

// Ends the parent as soon as its child can be connected to. Returns in the child, or false if there
// is none.
bool go_to_background(const std::string& directory) {
  const pid_t pid = ::fork();
  if (pid < 0) return false;
  if (pid > 0) ::_exit(EXIT_SUCCESS);
  ::setsid();
  ::umask(077);
  write_to_log(directory);
  return ::chdir("/") == 0;
}

using Json = nlohmann::json;

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// Records begin with a field `pool` or `worker` (coproc/owner_control.cc).
Json to_json(const coproc::Message& list) {
  Json result = {{"pools", Json::array()}};
  Json* record = &result;
  for (const auto& [name, text] : list.fields) {
    const Json value =
        is_number(text) ? Json(std::strtoull(text.c_str(), nullptr, 10)) : Json(text);
    if (name == "pool") {
      record = &result["pools"].emplace_back();
      *record = {{"program", text}, {"workers", Json::array()}};
    } else if (name == "worker") {
      record = &result["pools"].back()["workers"].emplace_back();
      *record = {{"pid", value}};
    } else {
      (*record)[name] = value;
    }
  }
  return result;
}

// The owner's answer. Nothing: nobody is there to ask. An error has been said.
std::expected<std::optional<coproc::Message>, int> ask(coproc::Message question) {
  const auto failed = [](const os::Result<void>& why) {
    complain("pool: can't ask the owner of the pools: " + why.error().message());
    return std::unexpected(EXIT_FAILURE);
  };
  auto owner = coproc::connect_to_owner({});
  if (!owner) {
    const int code = owner.error().code;
    if (code == ENOENT || code == ECONNREFUSED) return std::nullopt;
    return failed(std::unexpected(owner.error()));
  }
  const auto id = owner->send(std::move(question));
  if (!id) return failed(std::unexpected(id.error()));
  auto answer = owner->receive();
  if (!answer) return failed(std::unexpected(answer.error()));
  return std::move(*answer);
}

std::string text(const Json& record, const char* name) {
  const auto found = record.find(name);
  if (found == record.end()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

double ms(const Json& record, const char* name, double parts) {
  return parts == 0 ? 0 : record.value(name, 0.0) / 1000 / parts;
}

// What a program is called in the pools: its absolute path.
std::string file_of(const std::string& program) {
  const std::string found = find_on_path(program);
  char real[PATH_MAX];
  if (found.empty()) return program;
  const bool relative = !found.starts_with('/');
  return relative && ::realpath(found.c_str(), real) != nullptr ? real : found;
}

// Prints the pools by `print`, or as JSON.
int show(bool json, void (*print)(const Json& pools)) {
  const auto answer = ask({"pool-list", 0, {}});
  if (!answer) return answer.error();
  const Json list = *answer ? to_json(**answer) : Json{{"pools", Json::array()}};
  if (json) {
    fmt::print("{}\n", list.dump(2));
  } else if (list["pools"].empty()) {
    fmt::print("no pools\n");
  } else {
    print(list["pools"]);
  }
  return EXIT_SUCCESS;
}

void print_workers(const Json& pools) {
  fmt::print("{:>8}  {:9} {:>8} {:>10} {:>9} {:>9}  {}\n", "PID", "STATE", "SERVED", "WORKING ON",
             "IDLE", "MEMORY", "PROGRAM");
  for (const auto& pool : pools) {
    for (const auto& worker : pool["workers"]) {
      fmt::print("{:>8}  {:9} {:>8} {:>10} {:>7.1f} s {:>5} MiB  {}\n", text(worker, "pid"),
                 text(worker, "state"), text(worker, "served"), text(worker, "working-on"),
                 worker.value("idle-ms", 0.0) / 1000, worker.value("resident-kib", 0U) / 1024,
                 text(pool, "program"));
    }
    if (pool["workers"].empty()) {
      fmt::print("{:>8}  {:9} {:>8} {:>10} {:>9} {:>9}  {}\n", "-", "none", "", "", "", "",
                 text(pool, "program"));
    }
  }
}

void print_statistics(const Json& pools) {
  for (const auto& pool : pools) {
    const double started = pool.value("started", 0.0);
    const double requests = pool.value("requests", 0.0);
    fmt::print("{}\n", text(pool, "program"));
    fmt::print("  started as        {}\n", text(pool, "command"));
    fmt::print("  workers           {} of at most {}; {} started so far, {:.1f} ms each\n",
               pool["workers"].size(), text(pool, "most"), text(pool, "started"),
               ms(pool, "start-us", started));
    fmt::print("  requests          {}; {:.2f} ms each, the longest {:.2f} ms; {} waiting now\n",
               text(pool, "requests"), ms(pool, "busy-us", requests), ms(pool, "longest-us", 1),
               text(pool, "waiting"));
    fmt::print("  not served        {} refused, {} given up\n", text(pool, "refused"),
               text(pool, "given-up"));
    fmt::print(
        "  workers that died {}{}\n", text(pool, "deaths"),
        text(pool, "last-failure").empty() ? "" : "; the last: " + text(pool, "last-failure"));
  }
}

}  // namespace

int pool_serve(bool background) {
  const auto directory = os::runtime_directory();
  if (!directory) {
    complain("pool serve: " + directory.error().message());
    return EXIT_FAILURE;
  }
  auto socket = coproc::OwnerSocket::listen(*directory);
  if (!socket) {
    complain("pool serve: " + socket.error().message());
    return EXIT_FAILURE;
  }
  if (!*socket) {
    if (background) return EXIT_SUCCESS;
    complain("pool serve: somebody serves already at " + coproc::pool_socket_path(*directory));
    return EXIT_FAILURE;
  }
  if (background && !go_to_background(*directory)) return EXIT_FAILURE;
  coproc::Owner owner(**socket, find_command());
  if (const auto served = owner.run(); !served) {
    complain("pool serve: " + served.error().message());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

int pool_list(bool json) { return show(json, print_workers); }

int pool_stats(bool json) { return show(json, print_statistics); }

int pool_stop(const std::string& program) {
  coproc::Message request{"pool-stop", 0, {}};
  if (!program.empty()) request.add("program", file_of(program));
  const auto answer = ask(std::move(request));
  return answer ? EXIT_SUCCESS : answer.error();
}

}  // namespace prewarm::cli
