// SPDX-License-Identifier: MIT
//
// What a program can ask the dynamic linker, and how its symbols are bound. Built in several ways
// (position-independent or not, bound at once or lazily, …).
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "linked.h"

extern "C" char __ehdr_start;
extern "C" char _end;
extern "C" int optional_of_program() __attribute__((weak));
extern "C" int linked_interposed() { return 20; }
extern "C" int program_exports() { return 1; }

namespace {

void log_start(const char* what, int argc, char** argv, char** envp) {
  // Before constructors nothing of C++ may be used: this only counts.
  static int calls = 0;
  char line[200];
  std::snprintf(line, sizeof line, "%s: %d, argc %d, %s, environment %d, ended %d\n", what, calls++,
                argc, last_part(argv[0]), envp == environ, argv[argc] == nullptr);
  (void)!write(1, line, std::strlen(line));
}
void before_all(int argc, char** argv, char** envp) { log_start("preinit", argc, argv, envp); }
void first(int argc, char** argv, char** envp) { log_start("init", argc, argv, envp); }
void last() { (void)!write(1, "fini\n", 5); }

[[gnu::section(".preinit_array"), gnu::used]] void (*const preinit)(int, char**,
                                                                    char**) = before_all;
[[gnu::section(".init_array"), gnu::used]] void (*const init)(int, char**, char**) = first;
[[gnu::section(".fini_array"), gnu::used]] void (*const fini)() = last;

void symbols() {
  std::printf("copied %d %d\n", linked_copied[0], linked_copied[3]);
  linked_copied[3] = 40;
  std::printf("text %s\n", linked_text);
  std::printf("chosen %d, by pointer %d, the same %d\n", linked_chosen(), linked_pointer()(),
              linked_pointer() == linked_chosen);
  std::printf("versioned %d", linked_versioned());
  void* const old = dlvsym(RTLD_DEFAULT, "linked_versioned", "LINKED_1");
  std::printf(", old %d\n", old == nullptr ? -1 : reinterpret_cast<int (*)()>(old)());
  std::printf("interposed %d %d\n", linked_interposed(), linked_calls_interposed());
  std::printf("absent %d %d\n", linked_is_absent(), optional_of_program == nullptr);
  for (int i = 0; i < 4; ++i) std::printf("table %d\n", linked_through_table(i));
  const auto next = reinterpret_cast<int (*)()>(dlsym(RTLD_NEXT, "linked_interposed"));
  std::printf("next %d\n", next == nullptr ? -1 : next());
  std::printf("library's next %d\n", linked_next("linked_interposed") == nullptr);
  std::printf("next puts %d\n", linked_next("puts") == reinterpret_cast<void*>(puts));
}

void thread_data() {
  std::printf("big %d %d\n", linked_big_thread_data(0), linked_big_thread_data(65535));
  std::printf("initial %d %d\n", linked_initial_exec(), linked_initial_exec());
  std::thread([] {
    std::printf("in a thread: big %d %d, initial %d\n", linked_big_thread_data(0),
                linked_big_thread_data(65535), linked_initial_exec());
  }).join();
}

int show_object(dl_phdr_info* info, std::size_t size, void*) {
  int loads = 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) loads += info->dlpi_phdr[i].p_type == PT_LOAD;
  std::printf(
      "object %s: %d headers, %d loads, adds %llu, subs %llu, module %zu, data %d, size %zu\n",
      last_part(info->dlpi_name), info->dlpi_phnum, loads, info->dlpi_adds, info->dlpi_subs,
      info->dlpi_tls_modid, info->dlpi_tls_data != nullptr, size);
  return 0;
}

void show_address(const char* what, const void* address) {
  Dl_info info{};
  link_map* map = nullptr;
  if (dladdr1(address, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) == 0) {
    std::printf("address of %s: not known\n", what);
    return;
  }
  const auto offset = reinterpret_cast<const char*>(address) - static_cast<char*>(info.dli_fbase);
  std::printf("address of %s: %s, %s, %d, map %s\n", what, last_part(info.dli_fname),
              info.dli_sname == nullptr ? "-" : info.dli_sname,
              std::strcmp(last_part(info.dli_fname), "libc.so.6") == 0 || offset != 0,
              last_part(map->l_name));
  dl_find_object found{};
  const int status = _dl_find_object(const_cast<void*>(address), &found);
  std::printf("found %d, %s, frames %d, around %d\n", status,
              status == 0 ? last_part(found.dlfo_link_map->l_name) : "-",
              status == 0 && found.dlfo_eh_frame != nullptr,
              status == 0 && found.dlfo_map_start <= address && address < found.dlfo_map_end);
}

void objects() {
  dl_iterate_phdr(show_object, nullptr);
  show_address("main's file", reinterpret_cast<void*>(program_exports));
  show_address("puts", dlsym(RTLD_DEFAULT, "puts"));
  show_address("the library", linked_own_address());
  int on_stack = 0;
  show_address("the stack", &on_stack);
  show_address("the vDSO", reinterpret_cast<void*>(getauxval(AT_SYSINFO_EHDR) + 64));
  for (const link_map* map = _r_debug.r_map; map != nullptr; map = map->l_next) {
    std::printf("map %s, back %d\n", last_part(map->l_name),
                map->l_next == nullptr || map->l_next->l_prev == map);
  }
  std::printf("debugger: version %d, state %d, ld.so %d, stop %d\n", _r_debug.r_version,
              _r_debug.r_state, _r_debug.r_ldbase == getauxval(AT_BASE), _r_debug.r_brk != 0);
  std::printf("entry %d, headers %d\n",
              getauxval(AT_ENTRY) - reinterpret_cast<unsigned long>(&__ehdr_start) <
                  static_cast<unsigned long>(&_end - &__ehdr_start),
              getauxval(AT_PHDR) == reinterpret_cast<unsigned long>(&__ehdr_start) + 64);
}

void handles(const char* library) {
  void* const own = dlopen(nullptr, RTLD_NOW);
  std::printf("own handle %d, main %d\n", own != nullptr, dlsym(own, "program_exports") != nullptr);
  void* const loaded = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
  void* const by_name = dlopen("liblinked.so", RTLD_NOW);
  void* const by_path = dlopen(library, RTLD_NOW);
  std::printf("contained %d %d %d\n", loaded != nullptr, loaded == by_name, loaded == by_path);
  if (loaded == nullptr) return;
  std::printf("same data %d\n", dlsym(by_path, "linked_copied") != nullptr &&
                                    *static_cast<int*>(dlsym(RTLD_DEFAULT, "linked_copied")) == 1);
  link_map* map = nullptr;
  dlinfo(loaded, RTLD_DI_LINKMAP, &map);
  std::printf("info %s\n", map == nullptr ? "-" : last_part(map->l_name));
  std::size_t module = 0;
  void* data = nullptr;
  dlinfo(loaded, RTLD_DI_TLS_MODID, &module);
  dlinfo(loaded, RTLD_DI_TLS_DATA, &data);
  std::printf("module %zu, data %d\n", module, data != nullptr);
  char origin[4096] = "";
  dlinfo(loaded, RTLD_DI_ORIGIN, origin);
  std::printf("origin %s\n", last_part(origin));
  Dl_serinfo size{};
  if (dlinfo(own, RTLD_DI_SERINFOSIZE, &size) == 0) {
    auto* const paths = static_cast<Dl_serinfo*>(std::calloc(1, size.dls_size));
    dlinfo(own, RTLD_DI_SERINFOSIZE, paths);
    dlinfo(own, RTLD_DI_SERINFO, paths);
    for (unsigned i = 0; i < paths->dls_cnt; ++i) {
      std::printf("searched %s\n", paths->dls_serpath[i].dls_name);
    }
    std::free(paths);
  }
  for (void* handle : {loaded, by_name, by_path}) std::printf("closed %d\n", dlclose(handle));
  std::printf("still there %d\n", linked_chosen());
  std::printf("not there: %d", dlopen("libnobody.so", RTLD_NOW) == nullptr);
  std::printf(" %s\n", dlerror());
  std::printf("no symbol: %d", dlsym(own, "no_such_symbol") == nullptr);
  std::printf(" %s\n", dlerror());
}

void plugin(const char* path) {
  for (int flags : {RTLD_LAZY, RTLD_NOW | RTLD_GLOBAL}) {
    void* const handle = dlopen(path, flags);
    if (handle == nullptr) {
      std::printf("plugin: %s\n", dlerror());
      return;
    }
    const auto answer = reinterpret_cast<int (*)()>(dlsym(handle, "plugin_answer"));
    std::printf("plugin %d %d\n", answer(), answer());
    std::thread([&] { std::printf("plugin in a thread %d\n", answer()); }).join();
    dl_iterate_phdr(show_object, nullptr);
    std::printf("closed %d\n", dlclose(handle));
  }
  dl_iterate_phdr(show_object, nullptr);
  void* const namespaced = dlmopen(LM_ID_NEWLM, path, RTLD_NOW);
  std::printf("another namespace %d\n", namespaced != nullptr);
  if (namespaced == nullptr) std::printf("%s\n", dlerror());
}

void traces() {
  void* frames[20];
  const int count = linked_trace(frames, 20);
  char** const names = backtrace_symbols(frames, count);
  for (int i = 0; i < count; ++i) {
    const std::string name = last_part(names[i]);
    std::printf("frame %s\n", name.substr(0, name.find(" [")).c_str());
  }
  std::free(names);
}

}  // namespace

// LIBRARY PLUGIN
int main(int, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::printf("names %s %s %s\n", last_part(argv[0]), program_invocation_short_name,
              last_part(reinterpret_cast<char*>(getauxval(AT_EXECFN))));
  symbols();
  thread_data();
  objects();
  handles(argv[1]);
  plugin(argv[2]);
  traces();
  return 0;
}
