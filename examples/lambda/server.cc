// SPDX-License-Identifier: MIT

#include "server.h"

#include <fmt/format.h>
#include <httplib.h>

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

namespace lambda {

namespace {

// A blocked `next`, a response being received and two connections about to
// close: more are never open, and threads that wait cost nothing.
constexpr size_t kThreads = 4;
constexpr size_t kMaxPayloadBytes = 6 * 1024 * 1024;  // Lambda's own limit
constexpr std::chrono::seconds kConnectionIdleLimit{30};
constexpr std::chrono::seconds kFunctionTimeLimit{60};  // only told to the runtime
constexpr const char* kFunctionArn =
    "arn:aws:lambda:eu-central-1:000000000000:function:prewarm-demo";

std::optional<std::string_view> without_prefix(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  return text.substr(prefix.size());
}

// "/VERSION/runtime/REST" -> "REST"
std::optional<std::string_view> below_runtime(std::string_view path, std::string_view version) {
  std::optional<std::string_view> rest = without_prefix(path, "/");
  if (rest) rest = without_prefix(*rest, version);
  if (rest) rest = without_prefix(*rest, "/runtime/");
  return rest;
}

class HttpServer final : public Server {
 public:
  HttpServer(ServerOptions options, std::unique_ptr<Exchange> exchange)
      : options_(std::move(options)), exchange_(std::move(exchange)) {
    configure();
  }

  ~HttpServer() override {
    exchange_->close();
    http_.stop();
    if (thread_.joinable()) thread_.join();
  }

  bool listen() {
    port_ = http_.bind_to_any_port("127.0.0.1");
    if (port_ <= 0) return false;
    thread_ = std::thread([this] { http_.listen_after_bind(); });
    // stop() is lost if it comes before the thread has begun to accept, and the
    // library has no event to wait for.
    while (!http_.is_running()) std::this_thread::yield();
    return true;
  }

  std::string address() const override { return fmt::format("127.0.0.1:{}", port_); }
  Exchange& exchange() override { return *exchange_; }

 private:
  void configure() {
    http_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    // Head and body of an answer are two writes: with Nagle's algorithm the
    // second would wait for the client's delayed acknowledgement, 40 ms.
    http_.set_tcp_nodelay(true);
    http_.set_keep_alive_max_count(SIZE_MAX);  // the default closes after 5 requests
    http_.set_keep_alive_timeout(kConnectionIdleLimit.count());
    http_.set_payload_max_length(kMaxPayloadBytes);

    // Routes are regular expressions, matched one after another for each
    // request; one that matches everything and a parser of our own cost less.
    http_.Get(".*", [this](const httplib::Request& request, httplib::Response& response) {
      serve_get(request, response);
    });
    // A content reader takes the body as it is. Without one the library would
    // parse what curl -d labels as a form, and refuse forms over 8 KiB.
    http_.Post(".*", [this](const httplib::Request& request, httplib::Response& response,
                            const httplib::ContentReader& reader) {
      serve_post(request, response, reader);
    });
  }

  void serve_get(const httplib::Request& request, httplib::Response& response) {
    if (parse_get(request.path, options_.api_version).kind != ApiCall::Kind::next) {
      return answer_error(response, 404, "NotFound", "no such resource: " + request.path);
    }
    // Everything that can be ready is ready before the event's clock starts.
    response.set_header("Lambda-Runtime-Invoked-Function-Arn", kFunctionArn);
    std::optional<Event> event = exchange_->take_next();
    if (!event) return answer_error(response, 410, "Gone", "no more events");

    response.set_header("Lambda-Runtime-Aws-Request-Id", event->request_id);
    response.set_header("Lambda-Runtime-Trace-Id",
                        fmt::format("Root=1-00000000-{:.8};Sampled=0", event->request_id));
    const auto deadline = std::chrono::system_clock::now() + kFunctionTimeLimit;
    response.set_header("Lambda-Runtime-Deadline-Ms",
                        fmt::format("{}", std::chrono::duration_cast<std::chrono::milliseconds>(
                                              deadline.time_since_epoch())
                                              .count()));
    response.set_content(event->body, "application/json");
  }

  void serve_post(const httplib::Request& request, httplib::Response& response,
                  const httplib::ContentReader& reader) {
    std::string body;
    const bool complete = reader([&](const char* data, size_t size) {
      body.append(data, size);
      return true;
    });
    const Clock::time_point received = Clock::now();
    if (!complete) return answer_error(response, 400, "InvalidRequest", "incomplete body");

    const ApiCall call = parse_post(request.path, options_.api_version);
    switch (call.kind) {
      case ApiCall::Kind::response:
        return answer(response, exchange_->respond(call.request_id, body, received));
      case ApiCall::Kind::error:
        return answer(response, exchange_->report_error(call.request_id, body, received));
      case ApiCall::Kind::init_error:
        exchange_->report_init_error(body);
        return answer(response, Verdict::accepted);
      case ApiCall::Kind::next:
      case ApiCall::Kind::unknown:
        return answer_error(response, 404, "NotFound", "no such resource: " + request.path);
    }
  }

  static void answer(httplib::Response& response, Verdict verdict) {
    switch (verdict) {
      case Verdict::accepted:
        response.status = 202;
        return response.set_content("{\"status\":\"OK\"}\n", "application/json");
      case Verdict::unknown_id:
        return answer_error(response, 400, "InvalidRequestID", "no event has this request id");
      case Verdict::already_answered:
        return answer_error(response, 403, "InvalidStateTransition", "already answered");
    }
  }

  static void answer_error(httplib::Response& response, int status, const char* type,
                           const std::string& message) {
    response.status = status;
    const nlohmann::json body = {{"errorMessage", message}, {"errorType", type}};
    // A path may hold bytes that are not UTF-8; dump() would throw.
    response.set_content(body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n",
                         "application/json");
  }

  const ServerOptions options_;
  std::unique_ptr<Exchange> exchange_;
  httplib::Server http_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace

ApiCall parse_get(std::string_view path, std::string_view api_version) {
  if (below_runtime(path, api_version) == "invocation/next") return {ApiCall::Kind::next, {}};
  return {};
}

ApiCall parse_post(std::string_view path, std::string_view api_version) {
  const std::optional<std::string_view> rest = below_runtime(path, api_version);
  if (!rest) return {};
  if (rest == "init/error") return {ApiCall::Kind::init_error, {}};

  const std::optional<std::string_view> id_and_verb = without_prefix(*rest, "invocation/");
  if (!id_and_verb) return {};
  const size_t slash = id_and_verb->find('/');
  if (slash == 0 || slash == std::string_view::npos) return {};
  const std::string_view id = id_and_verb->substr(0, slash);
  const std::string_view verb = id_and_verb->substr(slash + 1);
  if (verb == "response") return {ApiCall::Kind::response, id};
  if (verb == "error") return {ApiCall::Kind::error, id};
  return {};
}

Result<std::unique_ptr<Server>> Server::start(ServerOptions options) {
  Result<std::unique_ptr<Exchange>> exchange = Exchange::create(options.name);
  if (!exchange) return std::unexpected(exchange.error());
  auto server = std::make_unique<HttpServer>(std::move(options), std::move(*exchange));
  if (!server->listen()) return system_failure("listen on", "127.0.0.1", errno);
  return server;
}

}  // namespace lambda
