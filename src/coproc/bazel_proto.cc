// SPDX-License-Identifier: MIT
#include "coproc/bazel_proto.h"

namespace prewarm::coproc {
namespace {

// https://protobuf.dev/programming-guides/encoding/
enum WireType : std::uint8_t { varint = 0, fixed64 = 1, bytes_of_length = 2, fixed32 = 5 };
constexpr unsigned kMaxVarintBytes = 10;
constexpr std::uint64_t kMaxFieldNumber = (1U << 29) - 1;

enum class Found : std::uint8_t { whole, partial, wrong };

Found take_varint(std::string_view& bytes, std::uint64_t& value) {
  value = 0;
  for (unsigned i = 0; i < kMaxVarintBytes; ++i) {
    if (i >= bytes.size()) return Found::partial;
    const auto byte = static_cast<std::uint8_t>(bytes[i]);
    if (i == kMaxVarintBytes - 1 && byte > 1) return Found::wrong;
    value |= std::uint64_t{byte & 0x7FU} << (7 * i);
    if (byte < 0x80) {
      bytes.remove_prefix(i + 1);
      return Found::whole;
    }
  }
  return Found::wrong;
}

bool take_bytes(std::string_view& bytes, std::uint64_t length, std::string_view& value) {
  if (length > bytes.size()) return false;
  value = bytes.substr(0, static_cast<std::size_t>(length));
  bytes.remove_prefix(value.size());
  return true;
}

struct ProtoField {
  std::uint64_t number = 0;
  WireType type = varint;
  std::uint64_t value = 0;
  std::string_view text;
};

bool take_field(std::string_view& bytes, ProtoField& field) {
  std::uint64_t key = 0;
  if (take_varint(bytes, key) != Found::whole) return false;
  field.number = key >> 3;
  field.type = static_cast<WireType>(key & 7);
  if (field.number == 0 || field.number > kMaxFieldNumber) return false;
  switch (field.type) {
    case varint:
      return take_varint(bytes, field.value) == Found::whole;
    case fixed64:
      return take_bytes(bytes, 8, field.text);
    case fixed32:
      return take_bytes(bytes, 4, field.text);
    case bytes_of_length:
      return take_varint(bytes, field.value) == Found::whole &&
             take_bytes(bytes, field.value, field.text);
  }
  return false;  // groups, which version 3 doesn't have
}

void put_varint(std::string& bytes, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  bytes += static_cast<char>(value);
}

void put_key(std::string& bytes, unsigned number, WireType type) {
  put_varint(bytes, number << 3 | type);
}

// Negative numbers are ten bytes: the sign is extended to 64 bits.
std::int32_t int32_of(std::uint64_t value) { return static_cast<std::int32_t>(value); }

}  // namespace

std::string print_proto_request(const WorkRequest& request) {
  std::string message;
  for (const auto& argument : request.arguments) {
    put_key(message, 1, bytes_of_length);
    put_varint(message, argument.size());
    message += argument;
  }
  if (request.request_id != 0) {
    put_key(message, 3, varint);
    put_varint(message, static_cast<std::uint64_t>(std::int64_t{request.request_id}));
  }
  if (request.cancel) {
    put_key(message, 4, varint);
    put_varint(message, 1);
  }
  std::string bytes;
  put_varint(bytes, message.size());
  return bytes + message;
}

std::expected<std::optional<WorkResponse>, const char*> take_proto_response(
    std::string_view& bytes) {
  std::string_view rest = bytes;
  std::uint64_t length = 0;
  const Found found = take_varint(rest, length);
  if (found == Found::partial) return std::nullopt;
  if (found == Found::wrong) return std::unexpected("its length is not one");
  if (length > kMaxResponseBytes) return std::unexpected("it is too long");
  std::string_view message;
  if (!take_bytes(rest, length, message)) return std::nullopt;
  WorkResponse response;
  while (!message.empty()) {
    ProtoField field;
    if (!take_field(message, field)) return std::unexpected("it is no protocol buffer");
    // A field of an unexpected type is an unknown one.
    if (field.type == varint && field.number == 1) response.exit_code = int32_of(field.value);
    if (field.type == bytes_of_length && field.number == 2) response.output = field.text;
    if (field.type == varint && field.number == 3) response.request_id = int32_of(field.value);
    if (field.type == varint && field.number == 4) response.was_cancelled = field.value != 0;
  }
  bytes = rest;
  return response;
}

}  // namespace prewarm::coproc
