// SPDX-License-Identifier: MIT
//
// Prints what can be observed of many libraries being linked, without addresses.
// program test|wait|maps|end
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <string>
#include <vector>

#include "functions.h"
#include "shared.h"

extern "C" int common() { return 5; }  // before those of the libraries, but where they are symbolic

static const char* base_name(const char* path) {
  const char* slash = strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

struct Owner {
  const void* address;
  std::string name;
  int count = 0;
};

static int find_owner(dl_phdr_info* info, size_t, void* data) {
  auto& owner = *static_cast<Owner*>(data);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD) continue;
    const auto distance =
        reinterpret_cast<ElfW(Addr)>(owner.address) - info->dlpi_addr - segment.p_vaddr;
    if (distance < segment.p_memsz) {
      owner.name = base_name(info->dlpi_name);
      ++owner.count;
    }
  }
  return 0;
}

static int list_object(dl_phdr_info* info, size_t, void* data) {
  auto& out = *static_cast<std::string*>(data);
  out += std::string(base_name(info->dlpi_name)) + " " + std::to_string(info->dlpi_phnum) +
         " tls " + std::to_string(info->dlpi_tls_modid) + " notes";
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_NOTE || strstr(info->dlpi_name, "vdso") != nullptr) continue;
    const auto* note = reinterpret_cast<const unsigned char*>(info->dlpi_addr + segment.p_vaddr);
    unsigned sum = 0;
    for (size_t byte = 0; byte < segment.p_filesz; ++byte) sum = sum * 31 + note[byte];
    out += " " + std::to_string(sum);
  }
  out += "\n";
  return 0;
}

static void look_around() {
  for (const auto& library : libraries) {
    Dl_info info;
    const auto* function = reinterpret_cast<void*>(library.test);
    link_map* map = nullptr;
    dladdr1(function, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP);
    Owner owner{function, {}};
    dl_iterate_phdr(find_owner, &owner);
    dl_find_object found{};
    const int result = _dl_find_object(const_cast<void*>(function), &found);
    printf("dladdr %s %s %d; phdr %s %d; find_object %d %s %d %d\n", base_name(info.dli_fname),
           info.dli_sname, info.dli_saddr == function, owner.name.c_str(), owner.count, result,
           base_name(found.dlfo_link_map->l_name), found.dlfo_link_map == map,
           found.dlfo_eh_frame != nullptr);
    Dl_info data;
    dladdr(library.variable, &data);
    printf("data %s %s\n", base_name(data.dli_fname), data.dli_sname);
    // By name it is the one that is there.
    void* handle = dlopen(library.name, RTLD_NOW);
    printf("dlopen %s: %d %d %d\n", library.name, handle == map,
           dlsym(handle, library.test_name) == function,
           dlsym(RTLD_DEFAULT, library.test_name) == function);
    printf("dlvsym %d\n", dlvsym(handle, "versioned_old", "NONE") == nullptr);
    dlclose(handle);
  }
  std::string objects;
  dl_iterate_phdr(list_object, &objects);
  printf("%s", objects.c_str());
}

static void* in_thread(void*) {
  for (const auto& library : libraries) library.test();
  return nullptr;
}

static void load_plugin(const char* path) {
  for (const int flags : {RTLD_NOW | RTLD_DEEPBIND, RTLD_LAZY | RTLD_GLOBAL}) {
    void* plugin = dlopen(path, flags);
    if (plugin == nullptr) {
      printf("%s\n", dlerror());
      return;
    }
    auto* test = reinterpret_cast<int (*)()>(dlsym(plugin, "plugin_test"));
    printf("plugin %d\n", test());
    dlclose(plugin);
  }
}

static int count_maps() {
  FILE* maps = fopen("/proc/self/maps", "r");
  char line[4096];
  int count = 0;
  while (fgets(line, sizeof line, maps) != nullptr) count += strstr(line, "/libt") != nullptr;
  fclose(maps);
  return count;
}

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "test";
  if (what == "maps") return printf("maps %d\n", count_maps()) < 0;
  if (what == "wait") return libraries[4].wait();
  if (what == "end") return 0;
  int sum = 0;
  for (const auto& library : libraries) sum += library.test();
  printf("call %d\n", libraries[0].call(7));
  look_around();
  pthread_t thread;
  pthread_create(&thread, nullptr, in_thread, nullptr);
  pthread_join(thread, nullptr);
  load_plugin(argv[2]);
  fflush(stdout);
  if (const pid_t child = fork(); child == 0) {
    libraries[2].test();
    exit(3);
  } else {
    int status = 0;
    waitpid(child, &status, 0);
    printf("child %d\n", WEXITSTATUS(status));
  }
  printf("shared %d %d %d\n", sum, Shared<int>::value, counted_inline());
  return sum == 0;
}
