// SPDX-License-Identifier: MIT

#include "server.h"

#include <gtest/gtest.h>
#include <httplib.h>
#include <poll.h>

#include <future>
#include <nlohmann/json.hpp>

namespace lambda {
namespace {

TEST(ParseCall, KnowsTheFourCalls) {
  EXPECT_EQ(parse_get("/v/runtime/invocation/next", "v").kind, ApiCall::Kind::next);
  EXPECT_EQ(parse_post("/v/runtime/init/error", "v").kind, ApiCall::Kind::init_error);
  const ApiCall response = parse_post("/v/runtime/invocation/some-id/response", "v");
  EXPECT_EQ(response.kind, ApiCall::Kind::response);
  EXPECT_EQ(response.request_id, "some-id");
  const ApiCall error = parse_post("/v/runtime/invocation/some-id/error", "v");
  EXPECT_EQ(error.kind, ApiCall::Kind::error);
  EXPECT_EQ(error.request_id, "some-id");
}

TEST(ParseCall, RefusesEverythingElse) {
  for (const char* path : {"", "/", "/w/runtime/invocation/next", "/v/runtime/invocation/next/",
                           "/v/runtime", "v/runtime/invocation/next"}) {
    EXPECT_EQ(parse_get(path, "v").kind, ApiCall::Kind::unknown) << path;
  }
  for (const char* path :
       {"", "/v/runtime/", "/v/runtime/invocation/", "/v/runtime/invocation//response",
        "/v/runtime/invocation/id", "/v/runtime/invocation/id/", "/v/runtime/invocation/id/x/error",
        "/v/runtime/init/error/x", "/w/runtime/init/error"}) {
    EXPECT_EQ(parse_post(path, "v").kind, ApiCall::Kind::unknown) << path;
  }
}

class ServerTest : public testing::Test {
 protected:
  static constexpr const char* kRuntime = "/2018-06-01/runtime/";

  httplib::Result get(const std::string& rest) { return client_.Get(kRuntime + rest); }
  httplib::Result post(const std::string& rest, const std::string& body) {
    return client_.Post(kRuntime + rest, body, "application/x-www-form-urlencoded");
  }

  // What the runtime gets for `next`, when it is offered `event`.
  httplib::Result next_of(const Event& event) {
    auto response = std::async(std::launch::async, [&] { return get("invocation/next"); });
    pollfd changed{server_->exchange().changed_fd(), POLLIN, 0};
    EXPECT_EQ(poll(&changed, 1, 10'000), 1);
    server_->exchange().acknowledge();
    server_->exchange().offer(event);
    return response.get();
  }

  std::unique_ptr<Server> server_ = std::move(*Server::start({}));
  // After the server, so that the connection is closed before it is waited for.
  httplib::Client client_{"http://" + server_->address()};
};

TEST_F(ServerTest, HandsOutAnEventAndTakesItsAnswer) {
  const httplib::Result next = next_of({"id-1", "{\"a\":1}", "answer"});
  EXPECT_EQ(next->status, 200);
  EXPECT_EQ(next->body, "{\"a\":1}");
  EXPECT_EQ(next->get_header_value("Lambda-Runtime-Aws-Request-Id"), "id-1");
  for (const char* header : {"Lambda-Runtime-Deadline-Ms", "Lambda-Runtime-Trace-Id",
                             "Lambda-Runtime-Invoked-Function-Arn"}) {
    EXPECT_TRUE(next->has_header(header)) << header;
  }
  EXPECT_EQ(post("invocation/id-1/response", "answer")->status, 202);

  server_->exchange().close();
  EXPECT_EQ(get("invocation/next")->status, 410);
  EXPECT_TRUE(server_->exchange().collect()->right);
}

TEST_F(ServerTest, KeepsTheConnectionOpen) {
  client_.set_keep_alive(true);
  for (int i = 0; i < 20; ++i) {
    const httplib::Result response = post("invocation/unknown/response", "");
    EXPECT_FALSE(response->get_header_value("Connection") == "close") << i;
  }
  client_.stop();
}

TEST_F(ServerTest, TakesABodyLargerThanAForm) {
  const std::string large(1'000'000, 'x');
  next_of({"id-1", "{}", large});
  EXPECT_EQ(post("invocation/id-1/response", large)->status, 202);
  EXPECT_EQ(server_->exchange().problem_count(), 0u);
}

TEST_F(ServerTest, RefusesUnknownIdsAndSecondAnswersInJson) {
  const httplib::Result unknown = post("invocation/id-9/response", "answer");
  EXPECT_EQ(unknown->status, 400);
  EXPECT_EQ(nlohmann::json::parse(unknown->body)["errorType"], "InvalidRequestID");

  next_of({"id-1", "{}", "answer"});
  post("invocation/id-1/response", "answer");
  const httplib::Result second = post("invocation/id-1/error", "answer");
  EXPECT_EQ(second->status, 403);
  EXPECT_EQ(nlohmann::json::parse(second->body)["errorType"], "InvalidStateTransition");
}

TEST_F(ServerTest, TakesErrors) {
  next_of({"id-1", "{}", "answer"});
  EXPECT_EQ(post("invocation/id-1/error", "{}")->status, 202);
  EXPECT_EQ(post("init/error", "cannot")->status, 202);
  EXPECT_EQ(server_->exchange().init_error(), "cannot");
}

TEST_F(ServerTest, AnswersOtherPathsWith404InJson) {
  for (const httplib::Result& response :
       {get("nowhere"), client_.Get("/"), post("invocation/next", "x"), client_.Get("/%ff%fe")}) {
    EXPECT_EQ(response->status, 404);
    EXPECT_TRUE(nlohmann::json::accept(response->body));
  }
}

}  // namespace
}  // namespace lambda
