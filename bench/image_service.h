// SPDX-License-Identifier: MIT
//
// A loader service of a case's own, which has some images in memory from the beginning.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "bench/session.h"
#include "image/map_client.h"

namespace prewarm::bench {

// What the service has given; closed with the object.
class GivenImage {
 public:
  GivenImage(const image::MappedImage& image, double us) : image_(image), us_(us) {}
  GivenImage(GivenImage&& other) noexcept : image_(other.image_), us_(other.us_) {
    other.image_ = {};
  }
  GivenImage(const GivenImage&) = delete;
  GivenImage& operator=(const GivenImage&) = delete;
  ~GivenImage() { image::close_mapped(image_); }
  int fd() const { return image_.image; }
  double us() const { return us_; }  // from connecting until it was there

 private:
  image::MappedImage image_;
  double us_;
};

class ImageService {
 public:
  // `images`: files of them. Ended with the object.
  static os::Result<std::shared_ptr<ImageService>> start(const Session& session,
                                                         const std::vector<std::string>& images);
  // In its place a process that answers each request with so many descriptors, and does nothing
  // else: what such an exchange costs anyway.
  static os::Result<std::shared_ptr<ImageService>> bare(const Session& session,
                                                        unsigned descriptors);
  ImageService(pid_t pid, std::string socket, std::vector<std::string> environment)
      : pid_(pid), socket_(std::move(socket)), environment_(std::move(environment)) {}
  ImageService(const ImageService&) = delete;
  ImageService& operator=(const ImageService&) = delete;
  ~ImageService();

  // As a start of the program would ask; an error if there is no image.
  os::Result<GivenImage> map(const std::string& program, std::uint64_t stack_limit) const;
  // For those who are to ask it.
  const std::vector<std::string>& environment() const { return environment_; }

 private:
  pid_t pid_;
  std::string socket_;
  std::vector<std::string> environment_;
};

}  // namespace prewarm::bench
