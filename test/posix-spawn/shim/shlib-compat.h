/* SPDX-License-Identifier: MIT
 *
 * For glibc's tests: a reference to an old version of a symbol. GLIBC_2_2 is what glibc calls its
 * first version; on x86-64 that is named GLIBC_2.2.5.
 */
#define GLIBC_2_2 "GLIBC_2.2.5"
#define compat_symbol_reference(library, local, symbol, version) \
  __asm__(".symver " #local ", " #symbol "@" version)
