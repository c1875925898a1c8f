#include "core/error.h"

#include "core/text.h"

namespace veilnet {

Error::Error(ErrorCode code, const std::string& message)
    : std::runtime_error(printable(message, 2000)), code_(code) {}

std::string_view error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::InvalidArgument: return "invalid_argument";
    case ErrorCode::NotFound: return "not_found";
    case ErrorCode::BadData: return "bad_data";
    case ErrorCode::AlreadyExists: return "already_exists";
    case ErrorCode::Io: return "io";
    case ErrorCode::Diverged: return "diverged";
    case ErrorCode::Interrupted: return "interrupted";
    case ErrorCode::Unsupported: return "unsupported";
    case ErrorCode::Exceeded: return "exceeded";
  }
  return "unknown";
}

}  // namespace veilnet
