// The safetensors container: u64 little-endian header length, JSON header, raw tensor bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"

namespace veilnet {

enum class DType { F64, F32, F16, BF16, I64, I32, I16, I8, U8, Bool };

std::string_view dtype_name(DType dtype);  ///< "F32", ...
std::size_t dtype_size(DType dtype);       ///< bytes per element

/// One tensor's description and its bytes (little-endian, row-major). Does not own the bytes.
struct TensorView {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  std::span<const std::uint8_t> bytes;
};

/// What a model can need, generously: DenseNet-201 has 1,200 tensors and 150 kB of header, the
/// names of ImageNet's 21,841 classes another 600 kB.
struct SafetensorsLimits {
  std::uint64_t max_file_bytes = 4ull << 30;
  std::uint64_t max_header_bytes = 4u << 20;
  std::size_t max_tensors = 10'000;
  std::size_t max_dims = 8;
};

/// A loaded file. Everything is checked before anything is handed out: header length, JSON form (no
/// duplicate keys), dtype names, shapes (non-negative, product without overflow), offsets (inside
/// the data, in the right size for dtype and shape, no overlap, no gap).
class Safetensors {
 public:
  /// @throws Error{NotFound, Io} as read_file; Error{BadData} for every malformation, naming file,
  /// tensor, value and what is allowed.
  static Safetensors load(const std::filesystem::path& path, const SafetensorsLimits& limits = {});
  /// As load, from memory; `name` stands for the file in messages.
  static Safetensors parse(std::vector<std::uint8_t> bytes, const std::string& name,
                           const SafetensorsLimits& limits = {});

  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// Sorted by name.
  const std::vector<TensorView>& tensors() const { return tensors_; }
  /// Null when there is no such tensor.
  const TensorView* find(std::string_view name) const;
  /// @throws Error{BadData} when there is no such tensor.
  const TensorView& at(std::string_view name) const;
  const std::string& name() const { return name_; }

  // The views point into bytes_: a move keeps them valid, a copy would not.
  Safetensors(Safetensors&&) = default;
  Safetensors& operator=(Safetensors&&) = default;

 private:
  Safetensors() = default;

  std::string name_;
  std::vector<std::uint8_t> bytes_;
  std::map<std::string, std::string> metadata_;
  std::vector<TensorView> tensors_;
};

/// Writes tensors in the given order (data aligned to 8 bytes by padding the header with spaces, as
/// the reference library does).
/// @throws Error{InvalidArgument} if bytes do not fit dtype and shape or a name repeats;
/// Error{AlreadyExists, Io} as write_file.
void save_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                      const std::map<std::string, std::string>& metadata, Overwrite overwrite);

}  // namespace veilnet
