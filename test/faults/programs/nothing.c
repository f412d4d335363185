// SPDX-License-Identifier: MIT
//
// A shared object that is loadable and does nothing: no agent.
int nothing_at_all(void) { return 0; }
