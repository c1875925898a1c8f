#include "core/zip.h"

#include <limits>
#include <utility>
#include <zlib.h>

#include "core/error.h"

namespace veilnet {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();

/// Little-endian fields, as the format has them.
void put16(std::string& to, std::uint64_t value) {
  for (int i = 0; i < 2; ++i) to += static_cast<char>(value >> 8 * i);
}
void put32(std::string& to, std::uint64_t value) {
  for (int i = 0; i < 4; ++i) to += static_cast<char>(value >> 8 * i);
}

/// What a file's own header and its entry in the directory share.
std::string description(std::string_view name, std::string_view bytes) {
  constexpr std::uint64_t kVersion = 20, kFirstOf1980 = 0x21;
  std::string text;
  put16(text, kVersion);
  put16(text, 0);  // flags
  put16(text, 0);  // not compressed
  put16(text, 0);  // time
  put16(text, kFirstOf1980);
  put32(text, ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
  put32(text, bytes.size());
  put32(text, bytes.size());
  put16(text, name.size());
  put16(text, 0);  // nothing extra
  return text;
}

}  // namespace

void ZipWriter::add(std::string_view name, std::string_view bytes) {
  constexpr std::uint64_t kHeaders = 256;
  if (bytes_.size() + directory_.size() + bytes.size() + 2 * name.size() + kHeaders > kMost ||
      files_ == std::numeric_limits<std::uint16_t>::max())
    fail(ErrorCode::InvalidArgument,
         "a ZIP archive with \"{}\" would have {} MB in {} files; allowed: 4095 MB, 65535 files",
         name, (bytes_.size() + bytes.size()) >> 20, files_ + 1);
  const auto about = description(name, bytes);
  put32(directory_, 0x02014b50);
  put16(directory_, 20);  // version of the writer
  directory_ += about;
  for (int i = 0; i < 3; ++i) put16(directory_, 0);  // no comment, first disk, binary
  put32(directory_, 0);                              // no attributes
  put32(directory_, bytes_.size());
  directory_ += name;
  put32(bytes_, 0x04034b50);
  bytes_ += about;
  bytes_ += name;
  bytes_ += bytes;
  ++files_;
}

std::string ZipWriter::finish() && {
  const auto begin = bytes_.size();
  bytes_ += directory_;
  put32(bytes_, 0x06054b50);
  put32(bytes_, 0);  // the only disk
  put16(bytes_, files_);
  put16(bytes_, files_);
  put32(bytes_, directory_.size());
  put32(bytes_, begin);
  put16(bytes_, 0);  // no comment
  return std::move(bytes_);
}

}  // namespace veilnet
