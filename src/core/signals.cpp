#include "core/signals.h"

#include <atomic>
#include <csignal>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <unistd.h>

namespace veilnet {
namespace {

std::atomic<int> seen = 0;
std::atomic<int> guards = 0;
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler uses it");

[[noreturn]] void end_process(int signal) {
  constexpr const char* message =
      "\nveilnet: stopped by a signal; what is written so far is whole\n";
  if (::write(STDERR_FILENO, message, std::strlen(message)) < 0) {
    // nobody left to tell
  }
  ::_exit(128 + signal);
}

void on_signal(int signal) {
  if (guards == 0 || seen != 0) end_process(signal);
  seen = signal;
}

}  // namespace

void install_interrupt_handler() {
  seen = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;  // reads and writes under way finish as if nothing had happened
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM}) {
    // A process started in the background with Ctrl-C ignored (nohup, "&" in a script) stays so.
    struct sigaction before {};
    ::sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) ::sigaction(signal, &action, nullptr);
  }
  std::signal(SIGPIPE, SIG_IGN);
}

InterruptGuard::InterruptGuard() : exceptions_(std::uncaught_exceptions()) { ++guards; }

InterruptGuard::~InterruptGuard() {
  if (--guards == 0 && seen != 0 && std::uncaught_exceptions() == exceptions_) end_process(seen);
}

bool interrupted() { return seen != 0; }

int interrupt_status() { return seen == 0 ? 0 : 128 + seen; }

}  // namespace veilnet
