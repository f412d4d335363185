/* SPDX-License-Identifier: MIT
 *
 * For gnulib's tests: what its configure would have found with this C library.
 */
#define EXEEXT ""
#define _GL_UNUSED __attribute__((__unused__))
#define _GL_ATTRIBUTE_MAYBE_UNUSED __attribute__((__unused__))
