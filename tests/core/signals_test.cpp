#include "core/signals.h"

#include <csignal>
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/error.h"

namespace veilnet {
namespace {

using testing::ExitedWithCode;

TEST(InterruptDeathTest, EndsTheProcessWhereNothingWaitsForIt) {
  const auto once = [](int signal) {
    install_interrupt_handler();
    std::raise(signal);
  };
  EXPECT_EXIT(once(SIGINT), ExitedWithCode(130), "stopped by a signal");
  EXPECT_EXIT(once(SIGTERM), ExitedWithCode(143), "stopped by a signal");
}

TEST(Interrupt, SetsAFlagWhileAGuardLives) {
  install_interrupt_handler();
  try {
    const InterruptGuard outer;
    const InterruptGuard inner;
    EXPECT_FALSE(interrupted());
    EXPECT_EQ(interrupt_status(), 0);
    std::raise(SIGTERM);
    EXPECT_TRUE(interrupted());
    EXPECT_EQ(interrupt_status(), 143);
    fail(ErrorCode::Interrupted, "answered");
  } catch (const Error&) {
  }
  EXPECT_TRUE(interrupted());
  install_interrupt_handler();
  EXPECT_FALSE(interrupted());
}

TEST(InterruptDeathTest, SecondSignalEndsTheProcess) {
  const auto twice = [](int first, int second) {
    install_interrupt_handler();
    const InterruptGuard guard;
    std::raise(first);
    std::raise(second);
  };
  EXPECT_EXIT(twice(SIGINT, SIGINT), ExitedWithCode(130), "");
  EXPECT_EXIT(twice(SIGINT, SIGTERM), ExitedWithCode(143), "");
}

TEST(InterruptDeathTest, ASignalThatTheGuardedWorkDidNotAnswerEndsTheProcessAfterIt) {
  const auto unanswered = [] {
    install_interrupt_handler();
    {
      const InterruptGuard outer;
      {
        const InterruptGuard inner;
        std::raise(SIGINT);
      }
      if (!interrupted()) _exit(1);
    }
    _exit(0);
  };
  EXPECT_EXIT(unanswered(), ExitedWithCode(130), "stopped by a signal");
}

TEST(InterruptDeathTest, WhatWasIgnoredStaysIgnored) {
  const auto ignored = [] {
    std::signal(SIGINT, SIG_IGN);
    install_interrupt_handler();
    std::raise(SIGINT);
    _exit(7);
  };
  EXPECT_EXIT(ignored(), ExitedWithCode(7), "");
}

}  // namespace
}  // namespace veilnet
