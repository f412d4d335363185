// SPDX-License-Identifier: MIT
#include "park/parked_start.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "image/audit_variable.h"
#include "image/image_start.h"
#include "os/scheduling.h"

namespace prewarm::park {
namespace {

// The agent moves these itself, the image's are closed before it comes to run.
constexpr int kTable = 3;
constexpr int kControl = 4;
constexpr int kImage = 5;

bool are_numbers(int end) {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && static_cast<rlim_t>(end) <= limit.rlim_cur;
}

}  // namespace

ParkedStart::ParkedStart(const ParkedOrders& orders, char* const* env) : orders_(orders) {
  os::Scheduling own;
  // A process without timer slack, as only a real-time one is, would get some with the policy.
  background_ = os::get_scheduling(own) && own.policy == os::kUsualPolicy &&
                ::prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) != 0;
  preload_ = "LD_PRELOAD=" + orders.agent;
  place_ = "PREWARM_PARK=" + std::to_string(kTable) + ":" + std::to_string(kControl) + ":" +
           std::to_string(orders.index) + (orders.may_clone ? ":1" : ":0") +
           (background_ ? ":1:" : ":0:") + std::to_string(own.runtime) +
           (orders.to_ready_point ? ":1" : ":0");
  env_ = {preload_.data(), place_.data()};
  // The agent writes the process id there.
  if (orders.to_ready_point) env_.push_back(ready_.data());
  for (char* const* e = env; *e != nullptr; ++e) env_.push_back(*e);
}

ParkedStart::~ParkedStart() { image::close_mapped(image_); }

bool ParkedStart::use_image(const char* path, char* const* env) {
  const image::MapWish wish{
      .path = path, .preload = orders_.agent.c_str(), .fewest_regions = image::kFewestForLaunch};
  const image::Refusal refusal = image::map_program(env, wish, image_);
  if (refusal != image::Refusal::none) return refusal != image::Refusal::no_service;
  audit_.resize(image::kAuditVariableBytes);
  if (!are_numbers(kImage + 1 + static_cast<int>(image_.file_count)) ||
      !image::is_image_of(image_, path) ||
      !image::write_audit_variable(orders_.restorer.c_str(), image_, kImage, audit_.data())) {
    image::close_mapped(image_);
    return true;
  }
  env_.push_back(audit_.data());
  return true;
}

std::vector<Operation> ParkedStart::chain(const char* path, char* const* argv, int null, int table,
                                          int control) {
  env_.push_back(nullptr);
  descriptors_ = {{null, 0}, {null, 1}, {null, 2}, {table, kTable}, {control, kControl}};
  if (image_.image >= 0) {
    descriptors_.push_back({image_.image, kImage});
    for (unsigned i = 0; i < image_.file_count; ++i) {
      descriptors_.push_back({image_.files[i], kImage + 1 + static_cast<int>(i)});
    }
  }
  sigset_t all;
  ::sigfillset(&all);
  std::vector<Operation> chain = {op::clone({.pidfd = false}), op::keep_only(descriptors_),
                                  op::signal_mask(all), op::signal_default(all)};
  if (background_) chain.push_back(op::scheduler(SCHED_BATCH, 0));
  // One that is held at its ready point runs its main, in the caller's directory.
  if (!orders_.to_ready_point) chain.push_back(op::chdir("/"));
  for (Operation& o : chain) o = o.link();
  chain.push_back(op::exec(path, argv, env_.data()));
  return chain;
}

}  // namespace prewarm::park
