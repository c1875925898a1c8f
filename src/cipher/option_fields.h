// A scheme with its options as JSON, as key files and notes in pictures hold it. Internal to this
// folder.
#pragma once

#include <nlohmann/json.hpp>

#include "cipher/scheme.h"

namespace veilnet::cipher {

/// `scheme` and the options that it reads, the strength apart.
nlohmann::ordered_json option_fields(const SchemeOptions& options);

}  // namespace veilnet::cipher
