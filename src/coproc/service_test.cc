// SPDX-License-Identifier: MIT
//
// Both sides of a connection: Service against Client, and against what no client would send.
#include "coproc/service.h"

#include <sys/socket.h>

#include <algorithm>

#include "coproc/client.h"
#include "os/testing.h"
#include "os/unix_address.h"

namespace prewarm::coproc {
namespace {

class Connection : public os::LeavesNothing {
 protected:
  Connection() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    client_.emplace(os::Fd(ends[0]));
    service_.emplace(os::Fd(ends[1]), Greeting{"test", 2, true, false});
  }

  int raw() const { return client_->fd(); }
  void send_raw(const Message& message, std::span<const int> descriptors = {}) {
    ASSERT_TRUE(send_packet(raw(), *print_message(message), descriptors));
  }
  // What the service answers next.
  Message answer() {
    EXPECT_EQ(service_->receive(), Service::State::open);
    return next_packet();
  }
  Message next_packet() {
    auto packet = receive_packet(raw(), reader_);
    if (!packet || !*packet) return {};
    EXPECT_TRUE((*packet)->descriptors.empty());
    return parse_message((*packet)->payload).value_or(Message{});
  }
  std::string refusal(const Message& message, std::span<const int> descriptors = {}) {
    send_raw(message, descriptors);
    const Message refused = answer();
    EXPECT_EQ(refused.id, message.id);
    const auto* reason = refused.find("reason");
    return refused.type == "error" && reason != nullptr ? *reason : "not refused";
  }
  Message argv(std::uint32_t id) const { return {"argv", id, {{"arg", "tool"}}}; }
  Service::Request request(const Message& message) {
    send_raw(message, standard_);
    EXPECT_EQ(service_->receive(), Service::State::open);
    auto next = service_->next_request();
    return next ? std::move(*next) : Service::Request{};
  }

  const std::array<int, 3> standard_{0, 1, 2};
  std::optional<Client> client_;
  std::optional<Service> service_;
  PacketReader reader_;
};

TEST_F(Connection, Greets) {
  send_raw(version_request(1));
  const auto greeting = greeting_of(answer());
  ASSERT_TRUE(greeting);
  EXPECT_EQ(greeting->implementation, "test");
  EXPECT_EQ(greeting->concurrent, 2U);
  EXPECT_EQ(refusal({"version", 2, {{"version", "7"}}}), "version");
}

TEST_F(Connection, EchoesAndFlushes) {
  const Message echo{"echo", 3, {{"a", "x\ny"}, {"b", ""}, {"a", "\xff"}}};
  send_raw(echo);
  EXPECT_EQ(answer(), echo);
  send_raw({"flush", 4, {}});
  EXPECT_EQ(answer(), to_message(Outcome::exited(0), 4));
}

TEST_F(Connection, HandsOverCompleteInvocations) {
  Message message = argv(1);
  message.add("env", "NEW=1");
  message.add("env", "NEW=2");
  ::setenv("PREWARM_TEST_BASE", "base", 1);
  service_.emplace(os::Fd(::dup(service_->fd())), Greeting{});
  ::unsetenv("PREWARM_TEST_BASE");
  const auto got = request(message);
  EXPECT_EQ(got.id, 1U);
  EXPECT_EQ(got.invocation.directory, std::filesystem::current_path().string());
  EXPECT_TRUE(got.invocation.clear_environment);
  EXPECT_STREQ(got.invocation.variable("PREWARM_TEST_BASE"), "base");
  const auto& variables = got.invocation.environment;
  EXPECT_EQ(std::count(variables.begin(), variables.end(), "NEW=2"), 1);
  EXPECT_EQ(std::count(variables.begin(), variables.end(), "NEW=1"), 0);
  for (const auto& stream : got.streams) EXPECT_TRUE(os::is_open(stream.get()));
  EXPECT_TRUE(service_->is_open(1));
  service_->answer(1, Outcome::exited(7));
  EXPECT_FALSE(service_->is_open(1));
  EXPECT_EQ(next_packet(), to_message(Outcome::exited(7), 1));
}

TEST_F(Connection, AnswersOnce) {
  request(argv(1));
  service_->answer(1, Outcome::exited(0));
  service_->answer(1, Outcome::exited(1));
  service_->answer(9, Outcome::exited(1));
  EXPECT_EQ(next_packet().id, 1U);
  send_raw({"echo", 2, {}});
  EXPECT_EQ(answer().type, "echo");
}

TEST_F(Connection, ClearedEnvironmentsBeginEmpty) {
  Message message = argv(1);
  message.add("env", "A=1");
  message.add("clear-env");
  EXPECT_EQ(request(message).invocation.environment, std::vector<std::string>{"A=1"});
}

TEST_F(Connection, BaseEnvironmentAndDirectoryStay) {
  send_raw({"env", 1, {{"clear-env", ""}, {"env", "A=1"}, {"env", "B=1"}}});
  EXPECT_EQ(answer(), to_message(Outcome::exited(0), 1));
  send_raw({"env", 2, {{"env", "B=2"}}});
  answer();
  send_raw({"cd", 3, {{"cwd", "/usr"}}});
  EXPECT_EQ(answer(), to_message(Outcome::exited(0), 3));
  const auto got = request(argv(4));
  EXPECT_EQ(got.invocation.environment, (std::vector<std::string>{"A=1", "B=2"}));
  EXPECT_EQ(got.invocation.directory, "/usr");
  Message own = argv(5);
  own.add("cwd", "/");
  own.add("env", "A=0");
  EXPECT_EQ(request(own).invocation.directory, "/");
  service_->answer(4, Outcome::exited(0));
  const auto next = request(argv(6));
  EXPECT_EQ(next.invocation.environment, (std::vector<std::string>{"A=1", "B=2"}));
  EXPECT_EQ(next.invocation.directory, "/usr");
}

TEST_F(Connection, ACdThatFailsChangesNothing) {
  send_raw({"cd", 1, {{"cwd", "/nowhere"}}});
  const auto outcome = outcome_of(answer());
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->value, 1);
  EXPECT_NE(outcome->message, "");
  EXPECT_EQ(request(argv(2)).invocation.directory, std::filesystem::current_path().string());
}

TEST_F(Connection, RefusesWhatItMust) {
  EXPECT_EQ(refusal({"argv", 1, {{"arg", "x"}}}), "descriptors");
  EXPECT_EQ(refusal({"argv", 2, {{"arg", "x"}}}, std::array{0, 1}), "descriptors");
  EXPECT_EQ(refusal({"argv", 3, {{"arg", "x"}}}, std::array{0}), "descriptors");
  EXPECT_EQ(refusal({"argv", 4, {}}, standard_), "message");
  EXPECT_EQ(refusal({"argv", 5, {{"arg", "x"}, {"umask", "x"}}}, standard_), "message");
  EXPECT_EQ(refusal({"cd", 6, {}}), "message");
  EXPECT_EQ(refusal({"cd", 7, {{"cwd", "x"}}}), "message");
  EXPECT_EQ(refusal({"env", 8, {{"env", "x"}}}), "message");
  EXPECT_EQ(refusal({"env", 9, {{"env", "=x"}}}), "message");
  EXPECT_EQ(refusal({"frobnicate", 10, {}}), "unknown-request");
  EXPECT_FALSE(service_->next_request());
}

TEST_F(Connection, ClosesDescriptorsOfOtherRequests) {
  const auto pipe = os::make_pipe();
  const std::array three{pipe.write.get(), pipe.write.get(), pipe.write.get()};
  const auto before = os::open_descriptors();
  send_raw({"echo", 1, {}}, three);
  EXPECT_EQ(answer().type, "echo");
  EXPECT_EQ(refusal(Message{"argv", 2, {}}, three), "message");
  EXPECT_EQ(os::open_descriptors(), before);
}

TEST_F(Connection, RefusesMoreThanItTakes) {
  const auto one = request(argv(1));
  const auto two = request(argv(2));
  EXPECT_EQ(refusal(argv(3), standard_), "busy");
  service_->answer(1, Outcome::exited(0));
  EXPECT_EQ(next_packet().id, 1U);
  EXPECT_EQ(request(argv(4)).id, 4U);
}

TEST_F(Connection, HandsOverSignalsForOpenRequests) {
  const auto one = request(argv(1));
  const auto signal = [this](const char* id, const char* number) {
    send_raw({"signal", 0, {{"request", id}, {"signal", number}}});
  };
  signal("1", "15");
  signal("2", "15");
  signal("1", "0");
  signal("1", "65");
  signal("x", "15");
  send_raw({"signal", 0, {}});
  signal("1", "64");
  send_raw({"echo", 5, {}});
  EXPECT_EQ(answer().type, "echo");
  const auto first = service_->next_signal();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->request, 1U);
  EXPECT_EQ(first->number, 15);
  EXPECT_EQ(service_->next_signal()->number, 64);
  EXPECT_FALSE(service_->next_signal());
}

TEST_F(Connection, GivesUpOnWhatIsNoMessage) {
  ASSERT_TRUE(send_packet(raw(), "nonsense"));
  EXPECT_EQ(service_->receive(), Service::State::broken);
  EXPECT_EQ(service_->receive(), Service::State::broken);
}

TEST_F(Connection, GivesUpOnIdsThatCannotBeToldApart) {
  const auto one = request(argv(1));
  send_raw({"echo", 1, {}});
  EXPECT_EQ(service_->receive(), Service::State::broken);
}

TEST_F(Connection, GivesUpOnTheIdNought) {
  send_raw({"echo", 0, {}});
  EXPECT_EQ(service_->receive(), Service::State::broken);
}

TEST_F(Connection, EndsBetweenMessagesAndBreaksInside) {
  EXPECT_EQ(service_->receive(), Service::State::open);
  ASSERT_EQ(::send(raw(), "5:ec", 4, 0), 4);
  ::shutdown(raw(), SHUT_WR);
  EXPECT_EQ(service_->receive(), Service::State::open);
  EXPECT_EQ(service_->receive(), Service::State::broken);
}

TEST_F(Connection, Ends) {
  ::shutdown(raw(), SHUT_WR);
  EXPECT_EQ(service_->receive(), Service::State::ended);
}

TEST_F(Connection, WantsOtherRequestsOnlyIfAsked) {
  service_->want_other_requests();
  send_raw({"pools", 3, {{"x", "y"}}});
  EXPECT_EQ(service_->receive(), Service::State::open);
  const auto other = service_->next_other();
  ASSERT_TRUE(other);
  EXPECT_EQ(other->type, "pools");
  service_->answer_other({"pools", 3, {}});
  EXPECT_EQ(next_packet().type, "pools");
}

TEST_F(Connection, AnswersWaitForAReader) {
  const std::string large(1'000'000, 'x');
  for (std::uint32_t id = 1; id <= 4; ++id) {
    PacketWriter writer(*print_message({"echo", id, {{"x", large}}}), {});
    while (!*writer.send(raw(), MSG_DONTWAIT)) {
      ASSERT_EQ(service_->receive(), Service::State::open);
    }
    ASSERT_EQ(service_->receive(), Service::State::open);
  }
  while (!service_->wants_to_write()) ASSERT_EQ(service_->receive(), Service::State::open);
  ::shutdown(raw(), SHUT_WR);
  std::uint32_t next = 1;
  while (next <= 4) {
    service_->receive();
    ASSERT_EQ(service_->flush(), Service::State::open);
    ASSERT_EQ(reader_.receive(raw(), MSG_DONTWAIT), Received::some);
    while (true) {
      auto packet = reader_.next();
      ASSERT_TRUE(packet);
      if (!*packet) break;
      EXPECT_EQ(parse_message((*packet)->payload)->id, next++);
    }
  }
  EXPECT_FALSE(service_->wants_to_write());
}

// ---- The asking side
// -----------------------------------------------------------------------------

TEST_F(Connection, ClientAndServiceUnderstandEachOther) {
  Invocation invocation;
  invocation.arguments = {"tool", "x"};
  const auto id = client_->send(invocation, {0, 1, 2});
  ASSERT_TRUE(id);
  EXPECT_TRUE(client_->unanswered().contains(*id));
  ASSERT_EQ(service_->receive(), Service::State::open);
  auto got = service_->next_request();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->id, *id);
  ASSERT_TRUE(client_->signal(*id, SIGINT));
  ASSERT_EQ(service_->receive(), Service::State::open);
  EXPECT_EQ(service_->next_signal()->number, SIGINT);
  const auto none = client_->receive(false);
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  service_->answer(*id, Outcome::exited(3));
  const auto status = client_->receive();
  ASSERT_TRUE(status);
  EXPECT_EQ(outcome_of(**status)->value, 3);
  EXPECT_TRUE(client_->unanswered().empty());
}

TEST_F(Connection, ClientRefusesAnswersToNothing) {
  ASSERT_TRUE(client_->send(Message{"echo", 0, {}}));
  ASSERT_EQ(service_->receive(), Service::State::open);
  ASSERT_TRUE(client_->receive());
  service_->answer_other({"echo", 1, {}});
  const auto twice = client_->receive();
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, EPROTO);
}

TEST_F(Connection, ClientHearsTheEnd) {
  service_.reset();
  const auto end = client_->receive();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, EPIPE);
}

TEST_F(Connection, ClientHearsThatARequestWasNotRead) {
  ASSERT_TRUE(client_->send(Message{"echo", 0, {}}));
  service_.reset();
  const auto end = client_->receive();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, ECONNRESET);
}

TEST_F(Connection, ClientRefusesWhatIsTooLong) {
  const auto sent = client_->send(Message{"echo", 0, {{"x", std::string(kMaxMessageBytes, 'x')}}});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, E2BIG);
  EXPECT_TRUE(client_->unanswered().empty());
}

TEST_F(Connection, ClientThatDoesNotWaitSendsTheRestLater) {
  const Message large{"echo", 0, {{"x", std::string(3'000'000, 'x')}}};
  ASSERT_TRUE(client_->send(large, false));
  EXPECT_TRUE(client_->wants_to_write());
  Invocation invocation;
  invocation.arguments = {"tool"};
  // Its descriptors can't wait.
  const auto refused = client_->send(invocation, {0, 1, 2}, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EAGAIN);
  EXPECT_EQ(client_->unanswered().size(), 1U);
  std::optional<Message> echoed;
  while (!echoed) {
    ASSERT_TRUE(client_->flush());
    ASSERT_EQ(service_->receive(), Service::State::open);
    ASSERT_EQ(service_->flush(), Service::State::open);
    auto received = client_->receive(false);
    ASSERT_TRUE(received);
    echoed = std::move(*received);
  }
  EXPECT_EQ(echoed->fields, large.fields);
}

TEST_F(Connection, ClientFindsServers) {
  os::TempDirectory directory;
  EXPECT_EQ(Client::connect(directory / "none").error().code, ENOENT);
  EXPECT_EQ(Client::connect("/" + std::string(200, 'x')).error().code, ENAMETOOLONG);
  const std::string path = directory / "socket";
  const auto address = os::UnixAddress::of(path);
  {
    os::Fd listening(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(listening.get(), address->get(), address->size()), 0);
    EXPECT_EQ(Client::connect(path).error().code, ECONNREFUSED);
    ASSERT_EQ(::listen(listening.get(), 1), 0);
    EXPECT_TRUE(Client::connect(path));
  }
  EXPECT_EQ(Client::connect(path).error().code, ECONNREFUSED);
}

// ---- Small parts
// ---------------------------------------------------------------------------------

TEST(InheritedSocket, IsTakenOnceWithItsVariables) {
  ::setenv("CAPERS_VERSION", "1", 1);
  for (const char* wrong : {"", "x", "-1", "01", "99999"}) {
    ::setenv("CAPERS_FD", wrong, 1);
    EXPECT_FALSE(Service::inherited_socket()) << wrong;
    EXPECT_EQ(std::getenv("CAPERS_FD"), nullptr);
  }
  EXPECT_EQ(std::getenv("CAPERS_VERSION"), nullptr);
  auto pipe = os::make_pipe();
  ::fcntl(pipe.read.get(), F_SETFD, 0);
  ::setenv("CAPERS_FD", std::to_string(pipe.read.get()).c_str(), 1);
  const auto socket = Service::inherited_socket();
  ASSERT_TRUE(socket);
  EXPECT_EQ(socket->get(), pipe.read.release());
  EXPECT_EQ(::fcntl(socket->get(), F_GETFD), FD_CLOEXEC);
  EXPECT_FALSE(Service::inherited_socket());
}

TEST(WithChanges, SetsEachNameOnce) {
  EXPECT_EQ(with_changes({"A=1", "B=2", "odd"}, {"B=3", "C=4", "C=5"}),
            (std::vector<std::string>{"A=1", "B=3", "odd", "C=5"}));
  EXPECT_EQ(with_changes({"A=1", "A=2"}, {}), (std::vector<std::string>{"A=1", "A=2"}));
  EXPECT_EQ(with_changes({"AB=1"}, {"A=2"}), (std::vector<std::string>{"AB=1", "A=2"}));
}

}  // namespace
}  // namespace prewarm::coproc
