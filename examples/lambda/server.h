// SPDX-License-Identifier: MIT
//
// A local stand-in for the AWS Lambda Runtime API, for one runtime:
//
//   GET  /2018-06-01/runtime/invocation/next         an event; 410 after the last
//   POST /2018-06-01/runtime/invocation/ID/response  202; 400 unknown id, 403 second answer
//   POST /2018-06-01/runtime/invocation/ID/error     likewise
//   POST /2018-06-01/runtime/init/error              202
//
// Anything else: 404. Errors have a JSON body {"errorMessage", "errorType"}.
// Interface: docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. That "410
// Gone" ends a runtime is this server's own addition; the real service freezes
// or kills it.

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "exchange.h"
#include "result.h"

namespace lambda {

inline constexpr std::string_view kApiVersion = "2018-06-01";

struct ServerOptions {
  std::string name = "runtime";  // opens the texts of problems
  std::string api_version{kApiVersion};
};

// What a request's path asks for, planned apart from serving it.
struct ApiCall {
  enum class Kind { next, response, error, init_error, unknown };
  Kind kind = Kind::unknown;
  std::string_view request_id;  // points into the path
};
ApiCall parse_get(std::string_view path, std::string_view api_version);
ApiCall parse_post(std::string_view path, std::string_view api_version);

class Server {
 public:
  // Listens on 127.0.0.1, on a port the system chooses, and serves from threads
  // of its own until destroyed. Ignores SIGPIPE for the whole process (the HTTP
  // library does).
  static Result<std::unique_ptr<Server>> start(ServerOptions options);

  // Closes the exchange and ends the threads. End the runtime first: waits for
  // its open connections, for up to half a minute.
  virtual ~Server() = default;

  // "127.0.0.1:PORT", as AWS_LAMBDA_RUNTIME_API has it.
  virtual std::string address() const = 0;
  virtual Exchange& exchange() = 0;
};

}  // namespace lambda
