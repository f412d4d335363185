// SPDX-License-Identifier: MIT
//
// Prints which build of it runs, or what the library it is linked with says (-DLIBRARY).
#include <stdio.h>

#ifdef LIBRARY
int number(void);
#else
static int number(void) { return NUMBER; }
#endif

int main(int argc, char** argv) {
  printf("%d%s%s\n", number(), argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
  return number();
}
