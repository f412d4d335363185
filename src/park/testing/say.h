// SPDX-License-Identifier: MIT
//
// For tests only: what say.c and its test agree on.
#pragma once

enum { kSayPages = 256, kSayPagesRead = 8, kSayPageSize = 4096 };
