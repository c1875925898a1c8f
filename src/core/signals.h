// Ctrl-C (SIGINT) and SIGTERM.
#pragma once

namespace veilnet {

/// From here on the first signal ends the process at once with status 128 + its number and a line
/// on stderr: files are written whole or not at all, so that there is nothing to clean up. Only
/// while an InterruptGuard lives does it set a flag instead, and the second one ends the process.
/// Forgets signals seen earlier. From then on writing to a closed pipe is an error like others and
/// does not end the process.
void install_interrupt_handler();

/// For work that ends in its own way when interrupted() says so: saves its state, says what is
/// done. A signal that such work did not answer by the end of the last guard, other than by an
/// exception, ends the process there.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  int exceptions_;
};

bool interrupted();
/// What the shell calls the end of a process by the signal that was seen: 130 after Ctrl-C, 143
/// after SIGTERM; 0 without a signal.
int interrupt_status();

}  // namespace veilnet
