#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Usage: installed.sh BUILD-DIRECTORY | installed.sh FILE.deb
#
# Installs the library into a directory (or unpacks the package there), moves that, and builds and runs
# programs in C and in C++ that find it by pkg-config and by CMake, shared and static.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly warnings=(-Wall -Wextra -pedantic -Werror)

scratch=$(mktemp -d)
readonly scratch
trap 'rm -rf "$scratch"' EXIT

if [[ $1 == *.deb ]]; then
  dpkg-deb -x "$1" "$scratch/first"
  prefix=$scratch/root/usr
else
  cmake --install "$1" --prefix "$scratch/first" --component library >/dev/null
  prefix=$scratch/root
fi
# What is found must not depend on where it was installed.
mv "$scratch/first" "$scratch/root"

pc=$(find "$prefix" -name prewarm.pc)
export PKG_CONFIG_PATH=${pc%/*}
library_dir=$(pkg-config --variable=libdir prewarm)
readonly library_dir

# expect OUTPUT PROGRAM: with the installed library.
expect() {
  local output
  output=$(LD_LIBRARY_PATH=$library_dir "$2")
  if [[ $output != "$1" ]]; then
    printf '%s: wrote "%s", not "%s"\n' "$2" "$output" "$1" >&2
    exit 1
  fi
}

# needs PROGRAM yes|no: whether it needs the shared library.
needs() {
  local found=no
  if readelf -d "$1" | grep -q 'NEEDED.*libprewarm\.so\.0'; then found=yes; fi
  if [[ $found != "$2" ]]; then
    printf '%s: needs libprewarm.so.0: %s, not %s\n' "$1" "$found" "$2" >&2
    exit 1
  fi
}

# ---- pkg-config --------------------------------------------------------------------------------------

cd "$scratch"
read -ra flags < <(pkg-config --cflags --libs prewarm)
cc -std=c11 "${warnings[@]}" "$here/consumer/consumer.c" "${flags[@]}" -o c-shared
c++ -std=c++23 "${warnings[@]}" "$here/consumer/consumer.cc" "${flags[@]}" -o cxx-shared
# The archive by its name, as the shared library would be preferred.
read -ra flags < <(pkg-config --static --cflags --libs prewarm)
flags=("${flags[@]/#-lprewarm/-l:libprewarm.a}")
cc -std=c11 "${warnings[@]}" "$here/consumer/consumer.c" "${flags[@]}" -o c-static
c++ -std=c++23 "${warnings[@]}" "$here/consumer/consumer.cc" "${flags[@]}" -o cxx-static
for kind in shared static; do
  expect 'from C' "./c-$kind"
  expect 'from C++' "./cxx-$kind"
done
needs c-shared yes
needs c-static no
needs cxx-static no

# Each header alone, as C++ and where it is one as C.
for header in "$prefix"/include/prewarm/*.h; do
  echo "#include <prewarm/${header##*/}>" >header.cc
  c++ -std=c++23 "${warnings[@]}" -fsyntax-only "-I$prefix/include" header.cc
done
printf '#define _POSIX_C_SOURCE 200809L\n#include <prewarm/prewarm.h>\n' >header.c
cc -std=c11 "${warnings[@]}" -fsyntax-only "-I$prefix/include" header.c

# ---- CMake -------------------------------------------------------------------------------------------

for language in C CXX; do
  cmake -S "$here/consumer" -B "cmake-$language" -DLANGUAGE="$language" -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
  cmake --build "cmake-$language" >/dev/null
done
for kind in shared static; do
  expect 'from C' "./cmake-C/$kind"
  expect 'from C++' "./cmake-CXX/$kind"
done
needs cmake-C/shared yes
needs cmake-C/static no
needs cmake-CXX/static no

# ---- Symbols -----------------------------------------------------------------------------------------

# Everything exported belongs to one of the two interfaces, and to its version.
nm -D --defined-only --with-symbol-versions "$library_dir/libprewarm.so" >symbols
if grep -vE ' (prewarm_[a-z0-9_]+@@PREWARM_0\.1|_ZNK?7prewarm.*@@PREWARM_CXX_0\.1|PREWARM(_CXX)?_0\.1)$' symbols; then
  echo 'libprewarm.so: should not export these' >&2
  exit 1
fi
# Every function that the C header declares is there.
while read -r name; do
  if ! grep -q " $name@@PREWARM_0\.1$" symbols; then
    printf 'libprewarm.so: %s is not exported\n' "$name" >&2
    exit 1
  fi
done < <(grep -hoP '\bprewarm_[a-z0-9_]+(?=\((?!\d))' "$prefix"/include/prewarm/{prewarm,posix_spawn}.h | sort -u)
