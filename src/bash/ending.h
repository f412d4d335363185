// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

namespace prewarm::bash {

// Ends this process as the wait status `status` says another one ended.
[[noreturn]] void end_alike(int status);

}  // namespace prewarm::bash
