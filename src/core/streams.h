// Standard input and output, checked. Nothing else may use the streams at the same time.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace veilnet {

/// Writes all of it to standard output.
/// @throws Error{Io} if that fails: a full disk, and a closed pipe once install_interrupt_handler()
/// has been called (before that the signal ends the process).
void write_stdout(std::span<const std::uint8_t> bytes);
void write_stdout(std::string_view text);

/// Reads standard input to its end.
/// @throws Error{BadData} as soon as it has more than max_bytes, Error{Io} if reading fails.
std::vector<std::uint8_t> read_stdin(std::uint64_t max_bytes);

}  // namespace veilnet
