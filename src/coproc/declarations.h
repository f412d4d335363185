// SPDX-License-Identifier: MIT
//
// Which commands are coprocesses, and how their workers are started and kept: the user's file of
// declarations, prewarm-coprocesses(5).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "os/result.h"

namespace prewarm::coproc {

// What a worker speaks. `automatic`: what is found out by trying; `batch`: the command is no
// coprocess, whatever else holds.
enum class Protocol : std::uint8_t {
  automatic,
  capers,
  fcli,
  bazel_json,
  bazel_proto,
  ready,
  batch
};

// "bazel-json". As in the file, and as `prewarm adapt` has it.
const char* protocol_name(Protocol protocol);

struct Declaration {
  std::string name;  // as scripts call the command, without a directory; or an absolute path
  std::vector<std::string> run;  // how a worker is started; empty: the program itself
  Protocol protocol = Protocol::automatic;
  std::vector<std::string> adapter_options;  // further options for `prewarm adapt`
  unsigned workers = 4;                      // at most
  unsigned spare = 0;            // started ahead of demand, once there is a pool; <= workers
  unsigned max_requests = 0;     // a worker is replaced after so many; 0: never
  unsigned max_mib = 0;          // or when it has grown beyond that; 0: never
  unsigned idle_seconds = 300;   // an idle worker ends after that
  unsigned start_seconds = 30;   // until it must have answered `version`
  unsigned timeout_seconds = 0;  // of a request; 0: none
  bool takes_stdin = true;
  // Names of variables that matter to a worker's start; one that ends in * stands for all that
  // begin so.
  std::vector<std::string> environment;
  bool by_directory = false;  // a worker serves requests from one directory only
  // Which requests prefer the same worker: "none" (or empty), "directory", or "argument-N" for the
  // same Nth argument, 1 to 9.
  std::string affinity;

  bool operator==(const Declaration&) const = default;
};

// Of all programs together.
struct Limits {
  unsigned workers = 32;
  unsigned idle_seconds = 10;  // the owner ends after so long without workers and clients

  bool operator==(const Limits&) const = default;
};

struct Declarations {
  Limits limits;
  std::vector<Declaration> commands;  // in no particular order; names are distinct

  // The declaration of the program `path` when it is called `called` (argv[0], or what a script
  // says): one of that very path, else one of the name. Null: there is none.
  const Declaration* find(std::string_view called, std::string_view path) const;
};

// The number of the argument by which `affinity` goes; 0: not by an argument.
unsigned affinity_argument(std::string_view affinity);

// $PREWARM_DECLARATIONS, $XDG_CONFIG_HOME/prewarm/coprocesses.toml or the same in ~/.config. The
// file may not exist. Empty: there is no home directory to look in.
std::string declarations_path();

// A missing file, and an empty path, declare nothing. An error's message names file, line, key,
// what is wrong and what is expected.
os::Result<Declarations> read_declarations(const std::string& path);

// `name` is what an error calls the text.
std::expected<Declarations, std::string> parse_declarations(std::string_view text,
                                                            std::string_view name);

}  // namespace prewarm::coproc
