// A coded transformation as the two networks that it consists of.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/model.h"

namespace veilnet::model {

/// What a picture's code is computed with, and what draws the protected picture of a code.
struct CodedParts {
  Model encoder;                 ///< picture -> the code's symbols, [N, symbols, 1, 1]
  std::optional<Model> decoder;  ///< those -> the protected picture before the sigmoid
};

/// The parts of a coded h: one after the other they compute what it computes. Of an Encoder there
/// is the first alone.
/// @throws Error{InvalidArgument} for a network without a code.
CodedParts coded_parts(const Model& h);

/// A code as what stands between the parts: its bits from the lowest on as -1 and 1, or of a
/// categorical quantiser, for each choice_bits bits, 1 at the choice and 0 at the others.
std::vector<float> symbols_of(const Card& card, uint64_t code);
/// The way back. @param symbols as symbols_of makes them.
uint64_t code_of(const Card& card, std::span<const float> symbols);

/// The encoder of a coded h as a model of its own (Role::Encoder), for clients that carry the
/// codebook. @param sha256 content_hash of h. @throws as coded_parts.
Model encoder_of(const Model& h, const std::string& sha256);

}  // namespace veilnet::model
