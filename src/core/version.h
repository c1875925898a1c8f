// Which build this is.
#pragma once

#include <string>

namespace veilnet {

/// Abbreviated git commit the program was built from, "-dirty" appended when the tree had changes,
/// or "unknown" outside a checkout.
std::string commit();

}  // namespace veilnet
