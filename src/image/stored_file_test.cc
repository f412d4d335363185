// SPDX-License-Identifier: MIT
#include "image/stored_file.h"

#include <errno.h>

#include <functional>

#include "image/testing.h"
#include "os/testing.h"

namespace prewarm::image {
namespace {

class StoredFile : public os::LeavesNothing {
 protected:
  StoredFile() {
    const auto fd = write_image(TestMemory().parts());
    const auto mapping = Mapping::of(*fd);
    file_ = *make_memfd("test", 0);
    EXPECT_TRUE(write_stored(file_, *Image::open(mapping->bytes())));
  }

  // What is said of the file when its header is changed so, and has the right checksum.
  std::string changed(const std::function<void(StoredHeader&)>& change) {
    const std::string path(sizeof "/usr/bin/program" - 1, 0);
    std::vector<std::uint8_t> bytes(sizeof(StoredHeader) + path.size());
    if (::pread(file_.get(), bytes.data(), bytes.size(), 0) < 0) return "unreadable";
    auto& header = *reinterpret_cast<StoredHeader*>(bytes.data());
    change(header);
    header.checksum = checksum_of(std::span(bytes).subspan(offsetof(StoredHeader, key)));
    if (!write_at(file_, bytes, 0)) return "unwritable";
    const auto read = read_stored(file_);
    return read ? "accepted" : read.error().message();
  }

  os::Fd file_;
};

TEST_F(StoredFile, TheSizeMustBeRight) {
  EXPECT_EQ(changed([](StoredHeader&) {}), "accepted");
  EXPECT_EQ(changed([](StoredHeader& h) { ++h.image_bytes; }),
            "read the stored image: the image is shorter than it says");
  EXPECT_EQ(changed([](StoredHeader& h) { h.image_bytes -= 2; }),
            "read the stored image: the image is longer than it says");
  EXPECT_EQ(changed([](StoredHeader& h) { h.image_bytes = kMaxImageBytes + 1; }),
            "read the stored image: its header");
}

TEST_F(StoredFile, OneFrameIsAllThereIs) {
  const auto more = [&](StoredHeader& h) {
    const std::uint64_t end = sizeof h + h.path_bytes + h.frame_bytes++;
    const std::uint8_t byte = 0;
    EXPECT_TRUE(write_at(file_, {&byte, 1}, end));
  };
  EXPECT_EQ(changed(more), "read the stored image: something follows its frame");
}

TEST_F(StoredFile, ImagesOfOtherVersionsAreTold) {
  EXPECT_EQ(changed([](StoredHeader& h) { ++h.image_version; }),
            "read the stored image: an image of version " + std::to_string(kImageVersion + 1) +
                ": Protocol not supported");
  EXPECT_EQ(read_entry(file_).error().code, EPROTONOSUPPORT);
}

}  // namespace
}  // namespace prewarm::image
