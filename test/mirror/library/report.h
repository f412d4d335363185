// SPDX-License-Identifier: MIT
//
// What each of the small libraries here exports to the mirror (see main.cc): its own lines.
#pragma once

extern "C" void mirror_library_report(void (*add)(void* to, const char* key, const char* value),
                                      void* to);
