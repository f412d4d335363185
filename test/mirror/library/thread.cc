// SPDX-License-Identifier: MIT
//
// A library that starts a thread before main. The thread answers questions until the program ends.
#include <pthread.h>
#include <unistd.h>

#include "report.h"

namespace {

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
int asked;
int answered;
pid_t thread_sees_pid;

void* answer(void*) {
  pthread_mutex_lock(&mutex);
  for (;;) {
    while (answered == asked) pthread_cond_wait(&changed, &mutex);
    thread_sees_pid = getpid();
    answered = asked;
    pthread_cond_broadcast(&changed);
  }
  return nullptr;
}

[[gnu::constructor]] void start() {
  pthread_t thread;
  if (pthread_create(&thread, nullptr, answer, nullptr) == 0) pthread_detach(thread);
}

// False if there is no answer within two seconds: the thread is gone.
bool ask() {
  timespec deadline{};
  clock_gettime(CLOCK_REALTIME, &deadline);
  deadline.tv_sec += 2;
  pthread_mutex_lock(&mutex);
  ++asked;
  pthread_cond_broadcast(&changed);
  int error = 0;
  while (answered != asked && error == 0)
    error = pthread_cond_timedwait(&changed, &mutex, &deadline);
  pthread_mutex_unlock(&mutex);
  return error == 0;
}

}  // namespace

extern "C" void mirror_library_report(void (*add)(void* to, const char* key, const char* value),
                                      void* to) {
  const bool alive = ask();
  add(to, "thread_answers", alive ? "yes" : "no");
  add(to, "thread_in_same_process", alive && thread_sees_pid == getpid() ? "yes" : "no");
}
