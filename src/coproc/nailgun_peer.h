// SPDX-License-Identifier: MIT
//
// Who has the other end of a connection from this machine.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>

namespace prewarm::coproc {

// The user at the other end of a connected socket: of a Unix socket, or of TCP over loopback, where
// the kernel's table of connections says it. Nothing: it can't be told, or the other end has gone.
std::optional<uid_t> user_of_peer(int socket);

// The user of the established connection from `local` to `remote`, as they are in `table` (the text
// of /proc/net/tcp or tcp6, see proc(5)).
std::optional<uid_t> user_in_table(std::string_view table, std::string_view local,
                                   std::string_view remote);

}  // namespace prewarm::coproc
