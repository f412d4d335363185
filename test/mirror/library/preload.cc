// SPDX-License-Identifier: MIT
//
// A harmless library for LD_PRELOAD: the mirror looks for this symbol.
extern "C" {
extern const int mirror_preload_mark;
const int mirror_preload_mark = 1;
}
