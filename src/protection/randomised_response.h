// Chance on top of a code: local differential privacy for the whole picture.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "cipher/key.h"

namespace veilnet::protection {

/// k-ary randomised response (Warner 1965; Kairouz et al., arXiv 1407.1338) over the K = 2^bits
/// codes of a coded transformation: the code is kept with probability e^eps / (e^eps + K - 1), else
/// each of the others is as likely. For any two pictures and any answer the probabilities differ by
/// e^eps at most, so the answer, and the protected picture that is drawn from it, is eps-locally
/// differentially private, the unit being the whole picture.
///
/// n answers to one picture cost n eps. An answer is therefore a keyed function of the picture:
/// under one secret the same picture has the same answer for ever, as long as it has the same code
/// (one on the border of two may get the other with another number of pictures at a time or of
/// threads, or on another processor), and no average over answers tells more. Other files of the
/// same scene are other pictures, each of which costs eps.
class RandomisedResponse {
 public:
  /// @param bits 1 to 64. @param epsilon above 0, at most 40.
  /// @throws Error{InvalidArgument} otherwise, saying which.
  RandomisedResponse(std::int64_t bits, double epsilon);

  std::int64_t bits() const { return bits_; }
  double epsilon() const { return epsilon_; }
  /// The probability that a code is kept, and that it becomes a certain other one.
  double kept() const;
  double each_other() const;

  /// The answer to a picture of this code. Answers of several models to one picture, and to several
  /// codes of it, are drawn apart, so that each costs epsilon and no more.
  /// @param picture its pixels. @param secret the client's; whoever has it and an answer knows
  /// which codes are possible. @param model which network gave the code: its content hash.
  std::uint64_t answer(std::uint64_t code, std::span<const std::uint8_t> picture,
                       const cipher::Key& secret, std::string_view model) const;

  /// The highest rate at which the right one of `candidates` pictures can be picked, 0 to 1.
  /// @param distinct how many different codes they have.
  double reidentified(double distinct, double candidates) const;

 private:
  std::int64_t bits_;
  double epsilon_;
  double others_;            // K - 1
  std::uint64_t threshold_;  // a draw of 64 bits below it keeps the code
};

}  // namespace veilnet::protection
