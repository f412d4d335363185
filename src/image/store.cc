// SPDX-License-Identifier: MIT
#include "image/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "image/memfd.h"

namespace prewarm::image {
namespace {

constexpr std::string_view kSuffix = ".image";
constexpr std::string_view kNewPrefix = ".new-";
constexpr std::size_t kKeyDigits = 32;

std::string hexadecimal(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016lx", value);
  return text;
}

// 32 digits, the high word first, and ".image".
std::string name_of(const ImageKey& key) {
  return hexadecimal(key[1]) + hexadecimal(key[0]) + std::string(kSuffix);
}

bool is_image_name(std::string_view name) {
  return name.size() == kKeyDigits + kSuffix.size() && name.ends_with(kSuffix) &&
         name.find_first_not_of("0123456789abcdef") == kKeyDigits;
}

std::unexpected<os::Error> another_key() {
  return os::failed_with(0, "read the stored image:", "it has another key");
}

os::Result<Image> open_image(std::span<const std::uint8_t> bytes, const ImageKey& key) {
  auto image = Image::open(bytes);
  if (image && !std::ranges::equal(image->header().key, key)) return another_key();
  return image;
}

// Makes what of these isn't there; a home directory that isn't is not ours to make.
os::Result<void> make_directories(const std::string& path) {
  std::size_t first = path.size();
  // The directories that are ours, if this is the default place, and the cache directory.
  constexpr std::string_view kOwn = "/prewarm/images";
  if (path.ends_with(kOwn)) {
    first = path.rfind('/', path.size() - kOwn.size() - 1);
    first = path.find('/', first + 1);
  }
  for (std::size_t end = first;; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      // In a file system that can't be written to, it is there all the same.
      struct stat s;
      const int code = errno;
      if (::stat(part.c_str(), &s) != 0) {
        return os::failed_with(code, "make the directory of images", part);
      }
    }
    if (part.size() == path.size()) return {};
  }
}

// A file of the store that is being written. Its lock says that its writer lives; the kernel takes
// it away from one that is dead.
class NewFile {
 public:
  explicit NewFile(const os::Fd& directory) : directory_(directory) {}
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    if (!name_.empty()) ::unlinkat(directory_.get(), name_.c_str(), 0);
  }

  os::Result<void> create();
  os::Result<void> rename_to(const std::string& name);
  const os::Fd& fd() const { return fd_; }

 private:
  const os::Fd& directory_;
  std::string name_;
  os::Fd fd_;
};

os::Result<void> NewFile::create() {
  constexpr int kTries = 16;
  for (int i = 0; i < kTries; ++i) {
    std::uint64_t random;
    if (::getrandom(&random, sizeof random, 0) != sizeof random) return os::failed("getrandom");
    std::string name = std::string(kNewPrefix) + hexadecimal(random);
    os::Fd fd(
        ::openat(directory_.get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd.valid() && errno == EEXIST) continue;
    if (!fd.valid()) return os::failed("make a file in the store of images");
    // Between these two calls somebody may have taken it for a leftover.
    struct stat s;
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || ::fstat(fd.get(), &s) != 0 ||
        s.st_nlink == 0) {
      continue;
    }
    // Whatever the umask is.
    if (::fchmod(fd.get(), 0600) != 0) return os::failed("make a file in the store of images");
    name_ = std::move(name);
    fd_ = std::move(fd);
    return {};
  }
  return os::failed_with(EAGAIN, "make a file in the store of images");
}

// The directory isn't written to the disk at once: an image that is lost in a crash is made again.
os::Result<void> NewFile::rename_to(const std::string& name) {
  if (::renameat(directory_.get(), name_.c_str(), directory_.get(), name.c_str()) != 0) {
    return os::failed("rename a file in the store of images", name);
  }
  name_.clear();
  return {};
}

}  // namespace

std::string store_directory(const char* xdg_cache_home, const char* home) {
  if (xdg_cache_home != nullptr && xdg_cache_home[0] == '/') {
    return std::string(xdg_cache_home) + "/prewarm/images";
  }
  if (home == nullptr || home[0] != '/') return {};
  return std::string(home) + "/.cache/prewarm/images";
}

os::Result<Store> Store::open(const std::string& directory, std::uint64_t max_bytes) {
  constexpr const char* kOperation = "use the directory of images";
  if (directory.empty() || directory[0] != '/') {
    return os::failed_with(EINVAL, kOperation, directory);
  }
  std::string path = directory;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (auto made = make_directories(path); !made) return std::unexpected(made.error());
  os::Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return os::failed(kOperation, path);
  struct stat s;
  if (::fstat(fd.get(), &s) != 0) return os::failed(kOperation, path);
  if (s.st_uid != ::geteuid() || (s.st_mode & 077) != 0) {
    return os::failed_with(EPERM, kOperation, path + " (it must be this user's, with mode 0700)");
  }
  return Store(std::move(path), std::move(fd), max_bytes);
}

os::Result<void> Store::put(const Image& image) {
  NewFile file(directory_);
  if (auto made = file.create(); !made) return made;
  if (auto done = write_stored(file.fd(), image); !done) return done;
  struct stat s;
  if (::fstat(file.fd().get(), &s) != 0) return os::failed("look at a stored image");
  const auto size = static_cast<std::uint64_t>(s.st_size);
  if (size > max_bytes_) return os::failed_with(EFBIG, "store the image");
  Collected collected;
  if (auto done = remove_leftovers(collected); !done) return done;
  const std::string name = name_of({image.header().key[0], image.header().key[1]});
  if (auto done = evict(size, name, collected); !done) return done;
  return file.rename_to(name);
}

os::Result<os::Fd> Store::get(const ImageKey& key, const std::optional<Place>& place) {
  const auto file = open_file(name_of(key));
  if (!file) return std::unexpected(file.error());
  auto memfd = read_stored(*file);
  if (!memfd) return memfd;
  {
    auto mapping = place ? Mapping::writable_of(*memfd) : Mapping::of(*memfd);
    if (!mapping) return std::unexpected(mapping.error());
    const auto image = open_image(mapping->bytes(), key);
    if (!image) return std::unexpected(image.error());
    if (place) {
      const std::uint64_t arena = arena_near(image->header(), place->arena);
      if (auto moved = move_image(mapping->writable_bytes(), arena, place->boot); !moved) {
        return std::unexpected(moved.error());
      }
    }
  }
  if (auto sealed = seal(*memfd); !sealed) return std::unexpected(sealed.error());
  // Where that isn't allowed, nothing can be evicted either.
  ::futimens(file->get(), nullptr);
  return memfd;
}

os::Result<std::vector<StoredEntry>> Store::list() const {
  const auto found = names();
  if (!found) return std::unexpected(found.error());
  std::vector<StoredEntry> entries;
  for (const std::string& name : *found) {
    if (!is_image_name(name)) continue;
    const auto file = open_file(name);
    if (!file) continue;
    if (auto entry = read_entry(*file); entry && name_of(entry->key) == name) {
      entries.push_back(std::move(*entry));
    }
  }
  return entries;
}

os::Result<bool> Store::remove(const ImageKey& key) {
  const std::string name = name_of(key);
  if (::unlinkat(directory_.get(), name.c_str(), 0) == 0) return true;
  if (errno == ENOENT) return false;
  return os::failed("remove a stored image", name);
}

os::Result<std::vector<Store::Verified>> Store::verify() const {
  const auto found = names();
  if (!found) return std::unexpected(found.error());
  std::vector<Verified> all;
  for (const std::string& name : *found) {
    if (!is_image_name(name)) continue;
    Verified verified{name, {}, {}};
    verified.state = check(name, verified.entry);
    // Another process may have removed it meanwhile.
    if (!verified.state && verified.state.error().code == ENOENT) continue;
    all.push_back(std::move(verified));
  }
  return all;
}

os::Result<void> Store::check(const std::string& name, std::optional<StoredEntry>& entry) const {
  const auto file = open_file(name);
  if (!file) return std::unexpected(file.error());
  const auto read = read_entry(*file);
  if (!read) return std::unexpected(read.error());
  entry = *read;
  if (name_of(read->key) != name) return another_key();
  const auto memfd = read_stored(*file);
  if (!memfd) return std::unexpected(memfd.error());
  const auto mapping = Mapping::of(*memfd);
  if (!mapping) return std::unexpected(mapping.error());
  if (auto image = open_image(mapping->bytes(), read->key); !image) {
    return std::unexpected(image.error());
  }
  return {};
}

os::Result<Store::Collected> Store::collect() {
  Collected collected;
  if (auto done = remove_leftovers(collected); !done) return std::unexpected(done.error());
  const auto found = names();
  if (!found) return std::unexpected(found.error());
  for (const std::string& name : *found) {
    if (!is_image_name(name)) continue;
    const auto file = open_file(name);
    const auto entry = file ? read_entry(*file) : std::unexpected(file.error());
    if (entry && name_of(entry->key) == name) continue;
    // What couldn't be read for another reason may be good: EIO, no free descriptors.
    const int code = entry ? 0 : entry.error().code;
    if (code != 0 && code != EPROTONOSUPPORT && code != EPERM) continue;
    struct stat s;
    if (::fstatat(directory_.get(), name.c_str(), &s, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!unlink(name)) continue;
    ++collected.unusable;
    collected.bytes += static_cast<std::uint64_t>(s.st_size);
  }
  if (auto done = evict(0, {}, collected); !done) return std::unexpected(done.error());
  return collected;
}

// All names in the directory.
os::Result<std::vector<std::string>> Store::names() const {
  constexpr const char* kOperation = "read the directory of images";
  // A position of its own: two threads may list.
  const int fd = ::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return os::failed(kOperation, path_);
  DIR* directory = ::fdopendir(fd);
  if (directory == nullptr) {
    ::close(fd);
    return os::failed(kOperation, path_);
  }
  std::vector<std::string> found;
  errno = 0;
  while (const dirent* entry = ::readdir(directory)) found.emplace_back(entry->d_name);
  const int code = errno;
  ::closedir(directory);
  if (code != 0) return os::failed_with(code, kOperation, path_);
  return found;
}

// A file that is this user's alone. It may be anything: nothing here waits for a FIFO.
os::Result<os::Fd> Store::open_file(const std::string& name) const {
  constexpr const char* kOperation = "open a stored image";
  os::Fd fd(::openat(directory_.get(), name.c_str(),
                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd.valid()) return os::failed_with(errno == ELOOP ? EPERM : errno, kOperation, name);
  struct stat s;
  if (::fstat(fd.get(), &s) != 0) return os::failed(kOperation, name);
  if (!S_ISREG(s.st_mode) || s.st_uid != ::geteuid() || (s.st_mode & 07177) != 0) {
    return os::failed_with(EPERM, kOperation, name + " (it must be this user's, with mode 0600)");
  }
  return fd;
}

// Until there are `room` bytes. The file `but` counts as gone: it will be replaced.
os::Result<void> Store::evict(std::uint64_t room, const std::string& but, Collected& collected) {
  const auto found = names();
  if (!found) return std::unexpected(found.error());
  struct File {
    std::string name;
    std::uint64_t bytes;
    std::int64_t used_ns;
  };
  std::vector<File> files;
  std::uint64_t total = room;
  for (const std::string& name : *found) {
    struct stat s;
    if (!is_image_name(name) || name == but) continue;
    if (::fstatat(directory_.get(), name.c_str(), &s, AT_SYMLINK_NOFOLLOW) != 0) continue;
    files.push_back({name, static_cast<std::uint64_t>(s.st_size),
                     s.st_mtim.tv_sec * 1'000'000'000 + s.st_mtim.tv_nsec});
    total += files.back().bytes;
  }
  std::ranges::sort(files, {}, &File::used_ns);
  for (const File& file : files) {
    if (total <= max_bytes_) break;
    if (!unlink(file.name)) return os::failed("remove a stored image", file.name);
    total -= file.bytes;
    collected.bytes += file.bytes;
    ++collected.evicted;
  }
  return {};
}

os::Result<void> Store::remove_leftovers(Collected& collected) {
  const auto found = names();
  if (!found) return std::unexpected(found.error());
  for (const std::string& name : *found) {
    if (!name.starts_with(kNewPrefix)) continue;
    // Nobody but its writer has it locked, and only as long as that lives.
    const auto file = open_file(name);
    if (!file || ::flock(file->get(), LOCK_EX | LOCK_NB) != 0) continue;
    struct stat s;
    if (::fstat(file->get(), &s) != 0) continue;
    if (!unlink(name)) continue;
    ++collected.leftovers;
    collected.bytes += static_cast<std::uint64_t>(s.st_size);
  }
  return {};
}

// True also if another process has done it.
bool Store::unlink(const std::string& name) {
  return ::unlinkat(directory_.get(), name.c_str(), 0) == 0 || errno == ENOENT;
}

}  // namespace prewarm::image
