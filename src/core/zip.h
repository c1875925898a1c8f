// ZIP archives of files as they are, without compression.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace veilnet {

/// Adds files one behind the other and gives the whole archive in the end.
class ZipWriter {
 public:
  /// @throws Error{InvalidArgument} past the 4 GB or 65,535 files of a ZIP archive.
  void add(std::string_view name, std::string_view bytes);
  /// The archive; nothing can be added afterwards.
  std::string finish() &&;

 private:
  std::string bytes_, directory_;
  std::uint16_t files_ = 0;
};

}  // namespace veilnet
