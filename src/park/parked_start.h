// SPDX-License-Identifier: MIT
//
// How a program is started that is to park: its environment, its descriptors, what its task does
// before the exec, and an image to start from if the loader service has one. For pool*.cc only.
#pragma once

#include <string>
#include <vector>

#include "image/map_client.h"
#include "prewarm/spawn.h"

namespace prewarm::park {

struct ParkedOrders {
  std::string agent;     // path
  std::string restorer;  // path
  unsigned index = 0;    // in the table
  bool may_clone = false;
  bool to_ready_point = false;
};

class ParkedStart {
 public:
  // What is here has to be kept until chain() has been started.
  ParkedStart(const ParkedOrders& orders, char* const* env);
  ParkedStart(const ParkedStart&) = delete;
  ParkedStart& operator=(const ParkedStart&) = delete;
  ~ParkedStart();

  // Asks the loader service, which takes kMapTimeoutMs if that hangs. `env` has been found free of
  // what ld.so looks at. False: there is no service that answers.
  bool use_image(const char* path, char* const* env);

  // Every signal is blocked and none ignored, whatever the caller has. `null`, `table` and
  // `control` come to be its descriptors 0 to 2, 3 and 4. What the chain refers to is this
  // object's.
  std::vector<Operation> chain(const char* path, char* const* argv, int null, int table,
                               int control);
  // Which operation of the chain is the one after which the descriptors aren't needed any more.
  static constexpr std::uint32_t kDescriptorsKept = 1;

 private:
  const ParkedOrders orders_;
  std::string preload_;
  std::string place_;
  std::string ready_ = "PREWARM_READY=0000000000";
  std::string audit_;
  std::vector<char*> env_;
  std::vector<Inherited> descriptors_;
  image::MappedImage image_;
  bool background_ = false;
};

}  // namespace prewarm::park
