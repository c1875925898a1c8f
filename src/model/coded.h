// A coded transformation as the two networks that it consists of.
#pragma once

#include "model/model.h"

namespace veilnet::model {

/// What a picture's code is computed with, and what draws the protected picture of a code.
struct CodedParts {
  Model encoder;  ///< picture -> the code's bits as -1 and 1, [N, bits, 1, 1]
  Model decoder;  ///< those -> the protected picture before the sigmoid
};

/// The parts of a coded h: one after the other they compute what it computes.
/// @throws Error{InvalidArgument} for a network without a code.
CodedParts coded_parts(const Model& h);

}  // namespace veilnet::model
