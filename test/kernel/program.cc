// SPDX-License-Identifier: MIT
//
// Uses what a start from an image has to set up: constructors, exceptions, thread-local data,
// threads, the vDSO, locales, the heap, the name of its file. Without arguments it says what came
// of it; with `how` only how it was started.
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

const std::string kMadeByConstructor = std::string(40, 'c');
thread_local int t_count = 41;

// The kernel puts the file's name above all arguments; a process that becomes a program without an
// exec puts it below.
bool is_direct(const char* first_argument) {
  return ::getauxval(AT_EXECFN) < reinterpret_cast<std::uint64_t>(first_argument);
}

std::uint64_t count_of_mappings(std::uint64_t from, std::uint64_t to) {
  std::ifstream maps("/proc/self/maps");
  std::uint64_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    const std::uint64_t begin = std::stoull(line, nullptr, 16);
    count += begin >= from && begin < to ? 1 : 0;
  }
  return count;
}

const char* how_started(const char* first_argument) {
  constexpr std::uint64_t kArena = 0x1000'0000'0000, kArenaEnd = 0x5000'0000'0000;
  if (count_of_mappings(kArena, kArenaEnd) == 0) return "plain";
  return is_direct(first_argument) ? "direct" : "by ld.so";
}

std::string thrown() {
  try {
    throw std::out_of_range("thrown");
  } catch (const std::logic_error& error) {
    return error.what();
  }
}

bool clock_is_right() {
  timespec by_vdso{}, by_kernel{};
  ::clock_gettime(CLOCK_MONOTONIC, &by_vdso);
  ::syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &by_kernel);
  return by_vdso.tv_sec <= by_kernel.tv_sec && by_kernel.tv_sec - by_vdso.tv_sec < 600;
}

std::string first_argument_by_kernel() {
  std::ifstream file("/proc/self/cmdline");
  std::string text;
  std::getline(file, text, '\0');
  return text;
}

void say_all(char** argv) {
  int of_thread = 0;
  std::thread([&of_thread] { of_thread = ++t_count; }).join();
  std::vector<std::string> heap(1000, kMadeByConstructor);
  std::ostringstream number;
  number.imbue(std::locale::classic());
  number << 1234.5;
  char executable[4096] = {};
  const bool has_name = ::readlink("/proc/self/exe", executable, sizeof executable - 1) > 0;
  std::cout << "constructor " << kMadeByConstructor.size() << "\nexception " << thrown()
            << "\nthread " << of_thread << ' ' << t_count << "\nheap " << heap.back() << "\nnumber "
            << number.str() << "\nclock " << clock_is_right() << "\npid "
            << (::getpid() == ::syscall(SYS_gettid)) << "\nexe " << (has_name ? executable : "")
            << "\narguments " << argv[0] << ' ' << first_argument_by_kernel() << "\nsecure "
            << ::getauxval(AT_SECURE) << '\n';
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    std::cout << *variable << '\n';
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "how") == 0) {
    std::cout << how_started(argv[0]) << '\n';
  } else {
    say_all(argv);
  }
}
