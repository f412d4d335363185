// SPDX-License-Identifier: MIT
int number(void) { return NUMBER; }
