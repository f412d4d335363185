// SPDX-License-Identifier: MIT

#include "workload.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace lambda {

namespace {

// splitmix64 (Steele, Lea and Flood, 2014): enough to look like a UUID.
uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

std::string make_request_id(uint64_t salt, int number) {
  const uint64_t high = mix(salt + 2 * static_cast<uint64_t>(number));
  const uint64_t low = mix(salt + 2 * static_cast<uint64_t>(number) + 1);
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                     high & 0xfff, 0x8000 | (low >> 50), low & 0xffffffffffff);
}

}  // namespace

Event make_event(uint64_t salt, int number) {
  Event event;
  event.request_id = make_request_id(salt, number);
  // The note holds what a careless shell script would expand, split or swallow.
  const nlohmann::json body = {
      {"number", number},
      {"customer", fmt::format("customer-{:05}", number * 7919 % 100000)},
      {"note", R"(it's  two spaces, * and ?, $HOME `id` %s \n "quoted" & grüße)"}};
  event.body = body.dump();
  event.expected_answer = "{\"echo\":" + event.body + "}";
  return event;
}

}  // namespace lambda
