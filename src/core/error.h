// The project's one exception type.
#pragma once

#include <fmt/core.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace veilnet {

/// What went wrong, for callers that branch on it. Closed: new causes map to an existing code.
enum class ErrorCode {
  InvalidArgument,  ///< an option, config value or combination that is not allowed
  NotFound,         ///< a file, folder, key or name that is not there
  BadData,          ///< input that exists but is malformed, truncated or out of range
  AlreadyExists,    ///< refusing to overwrite
  Io,               ///< the operating system failed to read or write
  Diverged,         ///< a training whose loss became NaN or exploded
  Interrupted,      ///< stopped by the user; state was saved
  Unsupported,      ///< valid, but not available in this build or on this machine
  Exceeded,         ///< a figure beyond the limit that the user set for it
};

/// Lower-case snake_case name of a code, for JSON output and tests.
std::string_view error_code_name(ErrorCode code);

/// Everything Veilnet throws. The message names the file or key, the value and what is allowed; it
/// never holds pixels or key bytes. What it quotes from outside can do a terminal no harm: the
/// message is made printable (core/text.h) and cut at 2000 bytes. Single strings that may be long
/// are better cut by who quotes them.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message);
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

/// Throws Error{code} with a message made as fmt::format makes it:
/// fail(ErrorCode::BadData, "{}: epochs is {}; allowed: 1 to {}", file, value, most).
template <class... Values>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Values...> format, Values&&... values) {
  throw Error(code, fmt::format(format, std::forward<Values>(values)...));
}

}  // namespace veilnet
