/* SPDX-License-Identifier: MIT
 *
 * For gnulib's tests: the absolute name of a program in PATH, or the name itself.
 */
const char* find_in_path(const char* program);
