// SPDX-License-Identifier: MIT
#include "bench/nailgun_case.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include "bench/pool_loop.h"

namespace prewarm::bench {
namespace {

constexpr const char* kServerJar = "/usr/share/java/nailgun-server.jar";

// A port that nobody uses just now.
os::Result<unsigned> free_port() {
  const os::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (!socket.valid() ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return os::failed("find a free port");
  }
  return ntohs(address.sin_port);
}

}  // namespace

os::Result<Measured> measure_nailgun(const Session& session) {
  for (const std::string program : {"ng-nailgun", "javac", "java", kServerJar}) {
    const bool is_jar = program == kServerJar;
    if (is_jar ? ::access(kServerJar, R_OK) != 0 : find_program(program).empty()) {
      return Measured::skip(program + " is not installed");
    }
  }
  const Tools tools(session);
  const std::string source = PREWARM_SOURCE_DIR;
  const std::string classes = session.scratch_path("classes");
  session.progress.show("compiling");
  const auto compiled =
      session.processes.run({.argv = {"javac", "-d", classes, source + "/sdk/java/Prewarm.java",
                                      source + "/examples/coproc/java/Checksums.java"},
                             .env = session.environment("cache")});
  if (!compiled) return std::unexpected(compiled.error());
  const auto port = free_port();
  if (!port) return std::unexpected(port.error());
  const auto input = session.script("input", "a line\n");
  if (!input) return std::unexpected(input.error());

  const auto batch = tools.executable(
      "checksums", fmt::format("#!/bin/sh\nexec java -cp {} Prewarm Checksums \"$@\"\n", classes));
  if (!batch) return std::unexpected(batch.error());
  const auto declared = tools.declare(
      fmt::format("[command.checksums]\nprotocol = \"fcli\"\n"
                  "run = [\"java\", \"-Xrs\", \"-cp\", {:?}, \"Prewarm\", \"Checksums\"]\n",
                  classes));
  if (!declared) return std::unexpected(declared.error());

  const std::string client = fmt::format("ng-nailgun --nailgun-port {} ", *port);
  const std::string start = fmt::format(
      "java -cp {}:{} com.martiansoftware.nailgun.NGServer 127.0.0.1:{} >/dev/null 2>&1 &\n"
      "until {}ng-version >/dev/null 2>&1; do :; done\n",
      kServerJar, classes, *port, client);
  // Both virtual machines have seen the class as often before it is timed.
  const auto warm_up = [](const std::string& command) {
    return "for ((i = 0; i < $1 / 2 + 1; ++i)); do " + command + "; done >/dev/null\n";
  };
  const std::string nailgun = client + "Checksums " + *input;
  const std::string ours = "\"$PREWARM\" call --no-batch " + *batch + " " + *input;
  return tools.measure({{.name = "nailgun",
                         .shell = {"bash"},
                         .first = start + warm_up(nailgun),
                         .loop = repeated(nailgun),
                         .invocations = tools.warm(),
                         .last = client + "ng-stop >/dev/null 2>&1; wait"},
                        {.name = "prewarm call",
                         .shell = {"bash"},
                         .first = warm_up(ours),
                         .loop = repeated(ours),
                         .invocations = tools.warm(),
                         .most_started = 1}});
}

}  // namespace prewarm::bench
