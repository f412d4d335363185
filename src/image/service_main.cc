// SPDX-License-Identifier: MIT
//
// prewarmd, the loader service (prewarmd(8)).
#include <fcntl.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "image/service.h"
#include "image/store_shelf.h"
#include "os/runtime_directory.h"
#include "prewarm_config.h"

namespace prewarm::image {
namespace {

struct CommandLine {
  ServiceOptions service;
  std::vector<std::string> library_directories;
  std::string cache_directory;
  std::uint64_t store_bytes = kDefaultStoreBytes;
  std::vector<std::string> images;
  bool background = false;
  bool print_sandbox = false;
  bool seccomp_kill = false;
};

void complain(const std::string& text) { std::fprintf(stderr, "prewarmd: %s\n", text.c_str()); }

int fail(const os::Error& error) {
  complain(error.message());
  return EXIT_FAILURE;
}

// The command of the same installation.
std::vector<std::string> default_builder() {
  char path[PATH_MAX];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  if (n <= 0) return {};
  std::string own(path, static_cast<std::size_t>(n));
  return {own.substr(0, own.rfind('/')) + "/prewarm", "image", "build"};
}

void add_options(CLI::App& app, CommandLine& line) {
  ServiceOptions& service = line.service;
  app.set_version_flag("--version", PREWARM_VERSION);
  app.add_flag("--background", line.background,
               "Return when the service serves, and leave it behind");
  app.add_option("--library-directory", line.library_directories,
                 "Read libraries beneath this directory, too")
      ->type_name("DIR");
  app.add_option("--cache-directory", line.cache_directory, "Where images are kept on the disk")
      ->type_name("DIR");
  app.add_option("--store-bytes", line.store_bytes, "How much of the disk images may take")
      ->capture_default_str();
  app.add_option("--image", line.images, "Have this image file in memory from the beginning")
      ->type_name("FILE");
  app.add_option("--builder", service.builder,
                 "What makes images: a program and its first arguments")
      ->type_name("WORD...");
  app.add_option("--build-seconds", service.build_seconds, "How long making an image may take")
      ->capture_default_str();
  app.add_option("--build-bytes", service.build_bytes, "How much memory its maker may use")
      ->capture_default_str();
  app.add_option("--unused-seconds", service.unused_seconds,
                 "When an image that no process uses leaves memory")
      ->capture_default_str();
  app.add_option("--hot-bytes", service.hot_bytes, "How much memory images may take")
      ->capture_default_str();
  app.add_option("--idle-seconds", service.idle_seconds,
                 "When a service that has nothing in memory ends; 0: never")
      ->capture_default_str();
  app.add_option("--watches", service.watches,
                 "inotify watches to use at most; 0: half of the user's")
      ->capture_default_str();
  app.add_option("--enough-regions", service.enough_regions,
                 "Give images of so many regions also to who thinks that they don't pay")
      ->type_name("N");
  app.add_flag("--print-sandbox", line.print_sandbox, "Say what the sandbox is here, and end");
  app.add_flag("--seccomp-kill", line.seccomp_kill,
               "End at a system call that isn't allowed, instead of refusing it");
}

bool go_to_background(const std::string& directory) {
  const pid_t pid = ::fork();
  if (pid < 0) return false;
  if (pid > 0) ::_exit(EXIT_SUCCESS);
  ::setsid();
  const os::Fd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const os::Fd log(::open((directory + "/image.log").c_str(),
                          O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  const int output = log.valid() ? log.get() : nothing.get();
  return ::dup2(nothing.get(), STDIN_FILENO) >= 0 && ::dup2(output, STDOUT_FILENO) >= 0 &&
         ::dup2(output, STDERR_FILENO) >= 0;
}

SandboxOptions sandbox_options(const CommandLine& line) {
  SandboxOptions options;
  options.read_directories = library_directories();
  options.read_directories.insert(options.read_directories.end(), line.library_directories.begin(),
                                  line.library_directories.end());
  options.write_directories = {line.service.runtime_directory};
  if (!line.cache_directory.empty()) options.write_directories.push_back(line.cache_directory);
  options.kill = line.seccomp_kill;
  return options;
}

// Without it images are only in memory.
std::optional<StoreShelf> open_shelf(const CommandLine& line) {
  if (line.cache_directory.empty()) return {};
  const auto boot = this_boot();
  if (!boot) return {};
  auto shelf = StoreShelf::open(line.cache_directory, line.store_bytes, *boot);
  if (shelf) return std::move(*shelf);
  complain(shelf.error().message() + " (images are kept in memory only)");
  return {};
}

int serve(CommandLine& line) {
  // Listen; whoever connects from here on is answered.
  auto socket = ServiceSocket::listen(line.service.runtime_directory);
  if (!socket) return fail(socket.error());
  if (!*socket) {
    if (line.background) return EXIT_SUCCESS;
    complain("somebody serves already in " + line.service.runtime_directory);
    return EXIT_FAILURE;
  }
  if (line.background && !go_to_background(line.service.runtime_directory)) return EXIT_FAILURE;

  // What is outside the sandbox, and what is opened there.
  auto spawner = SpawnerClient::start(
      {line.service.builder, line.service.build_seconds, line.service.build_bytes});
  if (!spawner) return fail(spawner.error());
  auto shelf = open_shelf(line);
  line.service.shelf = shelf ? &*shelf : nullptr;
  if (!shelf) line.cache_directory.clear();
  Service service(**socket, line.service, std::move(*spawner));
  if (const auto prepared = service.prepare(); !prepared) return fail(prepared.error());
  for (const std::string& path : line.images) {
    const Refusal refusal = service.take_image_file(path);
    if (refusal != Refusal::none) complain(path + ": " + std::string(refusal_sentence(refusal)));
  }

  // From here on nothing else can be done any more.
  auto sandbox = enter_sandbox(sandbox_options(line));
  if (!sandbox) return fail(sandbox.error());
  for (const std::string& note : sandbox->notes) complain(note);
  service.say_sandbox(std::move(*sandbox));
  const auto served = service.run();
  return served ? EXIT_SUCCESS : fail(served.error());
}

int print_sandbox(const CommandLine& line) {
  const auto sandbox = enter_sandbox(sandbox_options(line));
  if (!sandbox) return fail(sandbox.error());
  std::fputs(sandbox->text().c_str(), stdout);
  return std::fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int run(int argc, char** argv) {
  CommandLine line;
  CLI::App app("Keeps linked programs in memory, and gives them to `prewarm exec`.", "prewarmd");
  add_options(app, line);
  CLI11_PARSE(app, argc, argv);
  if (line.service.builder.empty()) line.service.builder = default_builder();
  if (line.cache_directory.empty()) {
    line.cache_directory = store_directory(std::getenv("XDG_CACHE_HOME"), std::getenv("HOME"));
  }
  ::umask(077);
  if (::chdir("/") != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return fail({"set up", "prewarmd", errno});
  }
  auto directory = os::runtime_directory();
  if (!directory) return fail(directory.error());
  line.service.runtime_directory = *directory;
  return line.print_sandbox ? print_sandbox(line) : serve(line);
}

}  // namespace
}  // namespace prewarm::image

int main(int argc, char** argv) { return prewarm::image::run(argc, argv); }
