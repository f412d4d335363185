// SPDX-License-Identifier: MIT
//
// What adapters have in common: one tool process, a channel of bytes to and from it, the Capers
// connection to the driver, and what becomes of requests when any of these ends. What is said over
// the channel is the derived class's.
//
// One thread runs all of it, in an event loop that waits for nothing else than its poll(2); relays
// (stream_relay.h) have threads of their own.
#pragma once

#include <poll.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coproc/adapter.h"
#include "coproc/service.h"
#include "coproc/stream_relay.h"
#include "os/fd.h"
#include "os/result.h"
#include "os/signal_queue.h"
#include "prewarm/command.h"

namespace prewarm::coproc {

class ToolAdapter {
 public:
  ToolAdapter(const AdapterOptions& options, os::Fd socket);
  ToolAdapter(const ToolAdapter&) = delete;
  ToolAdapter& operator=(const ToolAdapter&) = delete;
  virtual ~ToolAdapter();

  // Until the driver or the tool has gone. The exit status.
  int run();

 protected:
  // A request that was handed to the tool.
  struct Active {
    Service::Request request;
    std::uint64_t begins_at = 0;  // offset of its first byte among all that was put
    std::vector<std::unique_ptr<Relay>> relays;
    std::optional<Outcome> outcome;       // known, but the relays may not have finished
    std::optional<std::int64_t> kill_at;  // it was told to end; patience lasts until (os::now_ns)
    std::optional<int> signal;            // ... by this
    // The tool, which does other things as well, has not got that: when it is killed in the end,
    // this signal is what ended the request.
    bool withheld = false;
  };

  // Says how the tool is started, and opens the channel, as far as that comes before it.
  virtual os::Result<void> prepare(Command& command) = 0;
  // The tool runs. To call `greet`, now or later.
  virtual os::Result<void> started(Process& process) = 0;
  // Puts a request. If that can't be: why it was not run.
  virtual std::optional<Outcome> begin(std::uint32_t id, Active& active) = 0;
  // Takes whole answers off the front of `bytes`. An error, in words: what is there is no answer.
  virtual const char* take(std::string_view& bytes) = 0;
  // A signal for one request.
  virtual void deliver(std::uint32_t id, Active& active, int number) = 0;
  // All relays have finished; the outcome is about to be sent.
  virtual void collect(std::uint32_t id, Active& active) = 0;

  void set_channel(os::Fd to_tool, os::Fd from_tool);
  void set_log(os::Fd from_tool) { log_ = std::move(from_tool); }  // its standard error, a pipe
  // From here on requests are taken.
  void greet(Greeting greeting);
  bool has_greeted() const { return service_.has_value(); }
  void put(std::string_view bytes);
  // The request has ended. What its relays still have is passed on before it is answered.
  void end(std::uint32_t id, Outcome outcome);
  Active* find(std::uint32_t id);
  std::map<std::uint32_t, Active>& active() { return active_; }
  // To the tool and what it has started.
  void signal_tool(int number);
  void start_relay(Active& active, std::unique_ptr<Relay> relay, os::Result<void>& result);

  const AdapterOptions options_;

 private:
  os::Result<void> start();
  int refuse(const std::string& why);
  std::string why_not_started() const;
  void wait_for_events();
  int poll_timeout() const;
  void take_signals();
  void take_log(bool to_end);
  void take_answers();
  void flush_channel();
  void take_tool_end();
  void take_requests();
  void driver_gone();
  void violated(const std::string& what);
  void kill_tool();
  void look_at_clocks();
  void settle();
  std::uint64_t consumed() const;
  Outcome outcome_at_end(const Active& active, bool is_only_one) const;
  bool driver_listens() const;
  bool is_over() const;
  int finish();

  os::Fd socket_;  // until there is a service
  std::optional<Service> service_;
  bool requests_ended_ = false;  // the driver has closed its sending side
  bool driver_gone_ = false;
  bool driver_broken_ = false;  // what it sent was not Capers

  std::optional<Process> tool_;
  std::optional<Exit> exit_;  // how it has ended
  std::optional<std::string> violation_;
  std::optional<std::int64_t> kill_tool_at_;
  std::int64_t start_until_ = 0;
  bool too_late_ = false;  // it was killed because that time was over

  os::Fd to_tool_;
  os::Fd from_tool_;
  bool answers_ended_ = false;
  std::string outgoing_;
  std::string incoming_;
  std::uint64_t put_ = 0;      // bytes, in all
  std::uint64_t written_ = 0;  // of them

  os::Fd log_;
  std::string log_tail_;

  std::optional<os::SignalQueue> signals_;  // from start() on
  os::Fd relays_done_;
  int nudge_ms_ = 0;  // until the next nudge of relays; longer each time
  std::map<std::uint32_t, Active> active_;
};

// Whether a signal, if nothing is done about it, ends a program.
bool ends_programs(int number);

// Blocks all signals, as an adapter needs it before its first thread.
void block_signals();

}  // namespace prewarm::coproc
