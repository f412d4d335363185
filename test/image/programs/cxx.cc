// SPDX-License-Identifier: MIT
//
// C++ across libraries: exceptions, run-time types, thread-local objects, orders of construction
// and destruction.
#include <dlfcn.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <locale>
#include <memory>
#include <mutex>
#include <regex>
#include <thread>
#include <typeinfo>
#include <vector>

#include "shapes.h"

namespace {

struct Early {
  Early() { shapes::note("program's object made"); }
  ~Early() { std::puts("program's object gone"); }
} early;

thread_local std::unique_ptr<int> own_thread_value = std::make_unique<int>(3);

void exceptions() {
  try {
    shapes::rethrow_through_second([] { shapes::throw_error("thrown in the first"); });
  } catch (const shapes::Error& error) {
    std::printf("caught %s of %s\n", error.what(), typeid(error).name());
  }
  try {
    shapes::call([](void*) { throw 5; }, nullptr);
  } catch (int number) {
    std::printf("caught %d\n", number);
  }
  std::exception_ptr kept;
  try {
    (void)std::vector<int>().at(3);
  } catch (...) {
    kept = std::current_exception();
  }
  try {
    std::rethrow_exception(kept);
  } catch (const std::out_of_range& error) {
    std::printf("caught %s\n", error.what());
  }
  try {
    (void)std::regex("(");
  } catch (const std::regex_error& error) {
    std::printf("caught %d\n", static_cast<int>(error.code()));
  }
}

void types() {
  const std::unique_ptr<shapes::Shape> odd(shapes::make_odd());
  const std::unique_ptr<shapes::Shape> round(shapes::make_round());
  std::printf("%s, %s\n", odd->name().c_str(), round->name().c_str());
  std::printf("casts %d %d %d\n", dynamic_cast<shapes::Angular*>(odd.get()) != nullptr,
              dynamic_cast<shapes::Round*>(odd.get()) != nullptr,
              dynamic_cast<shapes::Angular*>(round.get()) != nullptr);
  std::printf("types %d %s\n", typeid(*odd) == typeid(shapes::Odd), typeid(*odd).name());
  std::printf("one counter %d %d\n",
              shapes::first_counter_address() == shapes::second_counter_address() &&
                  shapes::first_counter_address() == &shapes::shared_counter,
              shapes::first_static_counter() == shapes::second_static_counter() &&
                  shapes::first_static_counter() == &shapes::counter_of<shapes::Shape>());
}

void threads() {
  std::atomic<int> sum{0};
  std::mutex mutex;
  std::condition_variable arrived;
  int waiting = 0;
  std::vector<std::thread> all;
  for (int i = 0; i < 8; ++i) {
    all.emplace_back([&, i] {
      {
        std::unique_lock lock(mutex);
        ++waiting;
        arrived.notify_all();
        arrived.wait(lock, [&] { return waiting == 8; });
      }
      shapes::first_thread_counter() += i;
      *own_thread_value += i;
      try {
        shapes::throw_error("in a thread");
      } catch (const shapes::Error&) {
        sum += shapes::first_thread_counter() + *own_thread_value;
      }
    });
  }
  for (auto& thread : all) thread.join();
  std::printf("threads %d, own %d %d, gone %d\n", sum.load(), shapes::first_thread_counter(),
              *own_thread_value, shapes::shared_counter);
  std::once_flag once;
  for (int i = 0; i < 3; ++i) std::call_once(once, [] { std::puts("once"); });
}

void plugin(const char* path) {
  void* const handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    std::printf("plugin: %s\n", dlerror());
    return;
  }
  const auto find = [&](const char* name) { return dlsym(handle, name); };
  std::printf("plugin counts %d\n", reinterpret_cast<int (*)()>(find("plugin_counter"))());
  std::printf(
      "plugin shares %d %d\n",
      reinterpret_cast<int* (*)()>(find("plugin_counter_address"))() == &shapes::shared_counter,
      reinterpret_cast<int* (*)()>(find("plugin_static_counter"))() ==
          shapes::first_static_counter());
  const std::unique_ptr<shapes::Shape> shape(
      reinterpret_cast<shapes::Shape* (*)()>(find("plugin_shape"))());
  std::printf("plugin's %s %d\n", shape->name().c_str(),
              dynamic_cast<shapes::Odd*>(shape.get()) != nullptr);
  try {
    reinterpret_cast<void (*)()>(find("plugin_throw"))();
  } catch (const shapes::Error& error) {
    std::printf("caught %s\n", error.what());
  }
  std::thread([&] {
    std::printf("plugin counts %d\n", reinterpret_cast<int (*)()>(find("plugin_counter"))());
  }).join();
  shapes::print_notes();
  std::printf("closed %d\n", dlclose(handle));
}

void streams() {
  std::cout << "stream " << 3.5 << ' ' << std::hex << 255 << std::endl;
  std::cout << std::use_facet<std::ctype<char>>(std::locale()).toupper('a') << '\n';
  std::cerr << "to the error stream\n";
  std::ios_base::sync_with_stdio(false);
  std::cout << "left in a buffer";
}

}  // namespace

// PLUGIN [terminate|quick]
int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IONBF, 0);
  std::atexit([] { std::puts("program's first atexit"); });
  shapes::print_notes();
  exceptions();
  types();
  threads();
  plugin(argv[1]);
  streams();
  shapes::print_notes();
  if (argc > 2 && argv[2][0] == 't') shapes::throw_error("nobody catches this");
  if (argc > 2 && argv[2][0] == 'q') {
    std::at_quick_exit([] { std::puts("quick"); });
    std::quick_exit(6);
  }
  std::atexit([] { std::puts("program's last atexit"); });
  return 7;
}
