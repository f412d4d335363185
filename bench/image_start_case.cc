// SPDX-License-Identifier: MIT
//
// Programs of the system, started as usual and by `prewarm exec` from an image: until the program's
// own start (its ELF entry: all is linked, and the constructors of libraries have run), and in all.
#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <optional>

#include "bench/cases.h"
#include "bench/image_service.h"
#include "image/image.h"
#include "os/argv.h"
#include "os/clock.h"
#include "os/raw_syscall.h"

namespace prewarm::bench {
namespace {

constexpr unsigned kStarts = 8;  // per sample
constexpr unsigned kRoundsPerRound = 2;
constexpr double kNsPerUs = 1000;

struct Program {
  const char* name;
  std::vector<std::string> arguments;
};
const std::vector<Program>& programs() {
  static const std::vector<Program> all = {
      {"curl", {"--version"}}, {"gdb", {"--version"}}, {"python3", {"-c", "pass"}}, {"ls", {"/"}}};
  return all;
}

// One way to start one of them.
struct Way {
  std::string path;
  std::vector<std::string> argv, environment;
  std::uint64_t entry = 0;      // where the program's own start will be
  bool has_fixed_base = false;  // without address randomisation
};

// A mapping of a descriptor.
class Mapping {
 public:
  Mapping(std::size_t size, int fd)
      : size_(size), at_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (valid()) ::munmap(at_, size_);
  }
  bool valid() const { return at_ != MAP_FAILED; }
  template <class T>
  T* as(std::size_t offset = 0) const {
    return reinterpret_cast<T*>(static_cast<char*>(at_) + offset);
  }

 private:
  std::size_t size_;
  void* at_;
};

// A process that becomes the program when it is told to. Until then it shares the memory of whoever
// makes it, as that of posix_spawn(3) does: its exec has no copy of that to take apart. It doesn't
// sleep, either, as a shell's child doesn't.
class Starter {
 public:
  explicit Starter(const Way& way)
      : path_(way.path),
        has_fixed_base_(way.has_fixed_base),
        argv_(os::pointers(way.argv)),
        environment_(os::pointers(way.environment)),
        null_(::open("/dev/null", O_RDWR | O_CLOEXEC)) {}

  // Its pid, or -1.
  pid_t make() {
    if (!null_.valid()) return -1;
    return ::clone(&Starter::run, stack_.data() + stack_.size(), CLONE_VM | SIGCHLD, this);
  }
  void go() { go_ = true; }
  void give_up() { gives_up_ = true; }
  // When it began to execute the program; once it has ended.
  std::int64_t begun() const { return begun_; }

 private:
  // As in a signal handler: errno and all else is its maker's, too.
  static int run(void* self) {
    auto& s = *static_cast<Starter*>(self);
    for (int fd = 0; fd <= 2; ++fd) os::raw_syscall(SYS_dup3, s.null_.get(), fd);
    if (s.has_fixed_base_) os::raw_syscall(SYS_personality, ADDR_NO_RANDOMIZE);
    while (!s.go_) {
      const bool is_alone = os::raw_syscall(SYS_getppid) != s.maker_;
      if (is_alone || s.gives_up_) return kNotStarted;
    }
    s.begun_ = os::now_ns();
    os::raw_syscall(SYS_execve, os::arg(s.path_.c_str()), os::arg(s.argv_.data()),
                    os::arg(s.environment_.data()));
    return kNotStarted;
  }

  static constexpr int kNotStarted = 127;

  const pid_t maker_ = ::getpid();
  const std::string& path_;
  const bool has_fixed_base_;
  const std::vector<char*> argv_, environment_;
  const os::Fd null_;
  std::atomic<bool> go_ = false, gives_up_ = false;
  std::atomic<std::int64_t> begun_ = 0;
  alignas(16) std::array<char, 64 << 10> stack_;
};

// Samples the time when the process comes to the address.
os::Fd watch_address(pid_t pid, std::uint64_t address) {
  perf_event_attr wanted{};
  wanted.type = PERF_TYPE_BREAKPOINT;
  wanted.size = sizeof wanted;
  wanted.bp_type = HW_BREAKPOINT_X;
  wanted.bp_addr = address;
  wanted.bp_len = sizeof(long);
  wanted.sample_period = 1;
  wanted.sample_type = PERF_SAMPLE_TIME;
  wanted.use_clockid = 1;
  wanted.clockid = CLOCK_MONOTONIC;
  wanted.exclude_kernel = 1;
  wanted.exclude_hv = 1;
  return os::Fd(
      static_cast<int>(::syscall(SYS_perf_event_open, &wanted, pid, -1, -1, PERF_FLAG_FD_CLOEXEC)));
}

// The first sample: perf_event_header, and the time.
std::optional<std::int64_t> first_time(const Mapping& ring, std::size_t page) {
  struct Sample {
    perf_event_header header;
    std::uint64_t time_ns;
  };
  const auto* const head = ring.as<const perf_event_mmap_page>();
  if (head->data_head < sizeof(Sample)) return {};
  const auto* const sample = ring.as<const Sample>(page);
  if (sample->header.type != PERF_RECORD_SAMPLE) return {};
  return static_cast<std::int64_t>(sample->time_ns);
}

struct StartTimes {
  double to_entry_us = 0, in_all_us = 0;
};

os::Result<StartTimes> time_start(const Way& way) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  Starter starter(way);
  const pid_t pid = starter.make();
  if (pid < 0) return os::failed("make a process for", way.path);
  const os::Fd watched = watch_address(pid, way.entry);
  const int error = errno;
  const Mapping ring(3 * page, watched.get());
  const bool watches = watched.valid() && ring.valid();
  if (watches) {
    starter.go();
  } else {
    starter.give_up();
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  const auto ended = os::now_ns();
  if (!watches) return os::failed_with(error, "watch the start of", way.path);
  const auto came = first_time(ring, page);
  if (status != 0 || !came) return os::failed_with(0, "see the start of", way.path);
  return StartTimes{static_cast<double>(*came - starter.begun()) / kNsPerUs,
                    static_cast<double>(ended - starter.begun()) / kNsPerUs};
}

os::Result<std::vector<double>> sample(const Way& way, unsigned starts,
                                       double StartTimes::* which) {
  std::vector<double> values;
  for (unsigned i = 0; i < starts; ++i) {
    const auto times = time_start(way);
    if (!times) return std::unexpected(times.error());
    values.push_back((*times).*which);
  }
  return std::vector<double>{summarize(values).median};
}

// Where the program's own start is if addresses aren't drawn at random.
os::Result<std::uint64_t> usual_entry(const std::string& path) {
  constexpr std::uint64_t kUsualBase = 0x5555'5555'4000;  // ELF_ET_DYN_BASE, whole pages
  const os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  Elf64_Ehdr header{};
  if (::pread(file.get(), &header, sizeof header, 0) != sizeof header) {
    return os::failed("read", path);
  }
  return header.e_entry + (header.e_type == ET_DYN ? kUsualBase : 0);
}

os::Result<std::uint64_t> entry_in_image(const ImageService& service, const std::string& path) {
  rlimit limit{};
  ::getrlimit(RLIMIT_STACK, &limit);
  const auto given = service.map(path, limit.rlim_cur);
  if (!given) return std::unexpected(given.error());
  image::ImageHeader header;
  if (::pread(given->fd(), &header, sizeof header, 0) != sizeof header) {
    return os::failed("read the image of", path);
  }
  return header.entry;
}

os::Result<std::string> make_image(const Session& session, const std::string& path,
                                   const std::string& name) {
  std::string file = session.scratch_path(name + ".image");
  const auto built =
      session.processes.run({.argv = {session.options.prewarm, "image", "build", "-o", file, path},
                             .env = session.environment("cache")});
  if (!built) return std::unexpected(built.error());
  return file;
}

struct Prepared {
  std::shared_ptr<ImageService> service;
  std::vector<std::pair<std::string, Way>> ways;
};

os::Result<Prepared> prepare(const Session& session) {
  std::vector<std::pair<Program, std::string>> found;
  std::vector<std::string> images;
  for (const Program& program : programs()) {
    // Debian's: what PATH has may be a script.
    const std::string path = fmt::format("/usr/bin/{}", program.name);
    if (::access(path.c_str(), X_OK) != 0) continue;
    auto image = make_image(session, path, program.name);
    if (!image) return std::unexpected(image.error());
    images.push_back(std::move(*image));
    found.emplace_back(program, path);
  }
  auto service = ImageService::start(session, images);
  if (!service) return std::unexpected(service.error());
  Prepared prepared{*service, {}};
  const auto& environment = (*service)->environment();
  for (const auto& [program, path] : found) {
    const auto usual = usual_entry(path);
    const auto imaged = entry_in_image(**service, path);
    if (!usual) return std::unexpected(usual.error());
    if (!imaged) return std::unexpected(imaged.error());
    std::vector<std::string> argv = {path};
    argv.insert(argv.end(), program.arguments.begin(), program.arguments.end());
    std::vector<std::string> by_prewarm = {session.options.prewarm, "exec"};
    by_prewarm.insert(by_prewarm.end(), argv.begin(), argv.end());
    prepared.ways.emplace_back(std::string(program.name),
                               Way{path, argv, environment, *usual, true});
    prepared.ways.emplace_back(fmt::format("prewarm exec {}", program.name),
                               Way{session.options.prewarm, by_prewarm, environment, *imaged});
  }
  return prepared;
}

os::Result<Measured> measure(const Session& session, double StartTimes::* which,
                             const char* metric) {
  session.progress.show("making images");
  const auto prepared = prepare(session);
  if (!prepared) return std::unexpected(prepared.error());
  if (prepared->ways.empty()) return Measured::skip("none of the programs is installed");
  if (const auto tried = time_start(prepared->ways.front().second);
      !tried && (tried.error().code == EACCES || tried.error().code == EPERM)) {
    return Measured::skip("perf events aren't allowed here (kernel.perf_event_paranoid)");
  }
  const unsigned starts = session.options.quick ? 1 : kStarts;
  Plan plan;
  plan.metrics = {metric};
  plan.sample = fmt::format("median of {} starts", starts);
  plan.rounds = session.options.rounds * (session.options.quick ? 1 : kRoundsPerRound);
  plan.warm_up = true;
  for (const auto& [name, way] : prepared->ways) {
    plan.variants.push_back({name, [way, starts, which] { return sample(way, starts, which); }});
  }
  return interleave(session, plan);
}

}  // namespace

std::vector<Case> image_start_cases() {
  using enum DemandKind;
  return {{.name = "image-start",
           .what = "programs' starts, as usual and from an image: what comes before main",
           .demands = {{faster_at_least, "prewarm exec curl", "curl", 4},
                       {faster_at_least, "prewarm exec gdb", "gdb", 4}},
           .measure =
               [](const Session& session) {
                 return measure(session, &StartTimes::to_entry_us,
                                "from exec to the program's own start");
               }},
          {.name = "image-run",
           .what = "the same, as a whole",
           .demands = {{faster_at_least, "prewarm exec curl", "curl", 1},
                       {faster_at_least, "prewarm exec gdb", "gdb", 1},
                       {faster_at_least, "prewarm exec python3", "python3", 1},
                       {faster_at_least, "prewarm exec ls", "ls", 1}},
           .measure = [](const Session& session) {
             return measure(session, &StartTimes::in_all_us, "from exec to waitpid's return");
           }}};
}

}  // namespace prewarm::bench
