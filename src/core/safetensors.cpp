#include "core/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <limits>
#include <optional>
#include <set>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_file.h"
#include "core/text.h"

namespace veilnet {

namespace {

using nlohmann::json;

struct DTypeEntry {
  DType dtype;
  std::string_view name;
  std::size_t size;
};
constexpr std::array<DTypeEntry, 10> dtypes{{{DType::F64, "F64", 8},
                                             {DType::F32, "F32", 4},
                                             {DType::F16, "F16", 2},
                                             {DType::BF16, "BF16", 2},
                                             {DType::I64, "I64", 8},
                                             {DType::I32, "I32", 4},
                                             {DType::I16, "I16", 2},
                                             {DType::I8, "I8", 1},
                                             {DType::U8, "U8", 1},
                                             {DType::Bool, "BOOL", 1}}};
constexpr const char* metadata_key = "__metadata__";

const DTypeEntry& entry_of(DType dtype) {
  return *std::ranges::find(dtypes, dtype, &DTypeEntry::dtype);
}

std::string allowed_dtypes() {
  std::string names;
  for (const auto& entry : dtypes) names += (names.empty() ? "" : ", ") + std::string(entry.name);
  return names;
}

/// Text from the file as a message may show it.
std::string shown(std::string_view text) { return printable(text, 80); }

std::optional<std::uint64_t> multiply(std::uint64_t a, std::uint64_t b) {
  std::uint64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

/// Bytes that dtype and shape ask for; nothing if a dimension is negative or the product overflows.
std::optional<std::uint64_t> byte_count(DType dtype, std::span<const std::int64_t> shape) {
  // A zero does not excuse the other dimensions: their product must fit too, whatever the order.
  std::uint64_t product = dtype_size(dtype);
  bool empty = false;
  for (const std::int64_t side : shape) {
    if (side < 0) return std::nullopt;
    if (side == 0) empty = true;
    const auto next = multiply(product, static_cast<std::uint64_t>(side == 0 ? 1 : side));
    if (!next) return std::nullopt;
    product = *next;
  }
  return empty ? 0 : product;
}

std::string shape_text(std::span<const std::int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ","));
}

/// Whether the bytes begin as torch.save writes them: a ZIP archive, or in old files a pickle.
bool is_pytorch(std::span<const std::uint8_t> bytes) {
  constexpr std::array<std::uint8_t, 4> zip{'P', 'K', 3, 4}, pickle{0x80, 2, 0x8a, 0x0a};
  const auto first = bytes.first(std::min(bytes.size(), zip.size()));
  return std::ranges::equal(first, zip) || std::ranges::equal(first, pickle);
}

/// Reads the header of one file; every complaint names that file.
class HeaderReader {
 public:
  HeaderReader(const std::string& file, const SafetensorsLimits& limits)
      : file_(file), limits_(limits) {}

  std::uint64_t header_bytes(std::span<const std::uint8_t> bytes) const {
    if (bytes.size() > limits_.max_file_bytes)
      refuse("has {} bytes; allowed are at most {}", bytes.size(), limits_.max_file_bytes);
    if (is_pytorch(bytes))
      refuse(
          "is a PyTorch file (.pth), which can run code when it is read; convert it: python3 -c "
          "'import sys, torch, safetensors.torch as s; s.save_file({{k: v.contiguous() for k, v in "
          "torch.load(sys.argv[1], \"cpu\", weights_only=True).items()}}, sys.argv[2])' IN.pth "
          "OUT.safetensors");
    if (bytes.size() < 8)
      refuse("truncated: has {} bytes; a safetensors file has at least 8", bytes.size());
    std::uint64_t length = 0;
    for (int i = 0; i < 8; ++i) length |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
    if (length > limits_.max_header_bytes)
      refuse("the header claims {} bytes; allowed are at most {}", length,
             limits_.max_header_bytes);
    if (length > bytes.size() - 8)
      refuse("truncated: the header claims {} bytes, the file has {} after its length", length,
             bytes.size() - 8);
    return length;
  }

  json parse(std::string_view text) const {
    if (text.empty() || text.front() != '{')
      refuse("the header is not a JSON object: it must begin with '{{'");
    auto header = parse_json(text, file_ + ": header",
                             {.max_bytes = limits_.max_header_bytes,
                              .max_depth = 3,  // header > tensor > shape
                              .max_values = static_cast<std::size_t>(limits_.max_header_bytes)});
    if (header.size() - header.count(metadata_key) > limits_.max_tensors)
      refuse("more tensors than the {} that are allowed", limits_.max_tensors);
    return header;
  }

  std::map<std::string, std::string> metadata(const json& value) const {
    if (!value.is_object()) refuse("__metadata__ is no object of strings");
    std::map<std::string, std::string> result;
    for (const auto& [key, entry] : value.items()) {
      if (!entry.is_string())
        refuse("__metadata__ value of '{}' is a {}; it must be a string", shown(key),
               entry.type_name());
      result.emplace(key, entry.get<std::string>());
    }
    return result;
  }

  TensorView tensor(const std::string& name, const json& value,
                    std::span<const std::uint8_t> data) const {
    if (!value.is_object()) refuse("tensor '{}': its entry is no object", shown(name));
    for (const auto& [key, entry] : value.items())
      if (key != "dtype" && key != "shape" && key != "data_offsets")
        refuse("tensor '{}': unknown entry '{}'; allowed are dtype, shape, data_offsets",
               shown(name), shown(key));
    TensorView view{name, read_dtype(name, value), read_shape(name, value), {}};

    const auto size = byte_count(view.dtype, view.shape);
    if (!size)
      refuse("tensor '{}': shape {} overflows 64 bits", shown(name), shape_text(view.shape));
    const auto [begin, end] = read_offsets(name, value);
    const auto at = [&, begin = begin, end = end] {
      return fmt::format("tensor '{}': data_offsets [{},{}]", shown(name), begin, end);
    };
    if (begin > end) refuse("{} run backwards", at());
    if (end > data.size()) refuse("{} reach past the {} bytes of data", at(), data.size());
    if (end - begin != *size)
      refuse("{} hold {} bytes; {} {} needs {}", at(), end - begin, dtype_name(view.dtype),
             shape_text(view.shape), *size);
    view.bytes = data.subspan(begin, end - begin);
    return view;
  }

  /// The tensors must tile the data: nothing shared, nothing between, nothing left over.
  void check_layout(const std::vector<TensorView>& tensors,
                    std::span<const std::uint8_t> data) const {
    std::vector<const TensorView*> order;
    for (const auto& tensor : tensors) order.push_back(&tensor);
    const auto begin = [&](const TensorView* t) {
      return static_cast<std::size_t>(t->bytes.data() - data.data());
    };
    std::ranges::sort(order, {},
                      [&](const TensorView* t) { return std::pair(begin(t), t->bytes.size()); });
    std::size_t reached = 0;
    for (const auto* tensor : order) {
      if (begin(tensor) < reached)
        refuse("tensor '{}' overlaps another: it begins at byte {}, expected {}",
               shown(tensor->name), begin(tensor), reached);
      if (begin(tensor) > reached)
        refuse("gap before tensor '{}': it begins at byte {}, expected {}", shown(tensor->name),
               begin(tensor), reached);
      reached += tensor->bytes.size();
    }
    if (reached != data.size())
      refuse("{} trailing bytes after the last tensor, which ends at byte {} of {}",
             data.size() - reached, reached, data.size());
  }

 private:
  template <class... Values>
  [[noreturn]] void refuse(fmt::format_string<Values...> format, Values&&... values) const {
    fail(ErrorCode::BadData, "{}: {}", file_, fmt::format(format, std::forward<Values>(values)...));
  }

  const json& entry(const std::string& name, const json& value, const char* key) const {
    const auto found = value.find(key);
    if (found == value.end()) refuse("tensor '{}': lacks '{}'", shown(name), key);
    return *found;
  }

  DType read_dtype(const std::string& name, const json& value) const {
    const auto& given = entry(name, value, "dtype");
    if (!given.is_string())
      refuse("tensor '{}': dtype is a {}; it must be a string", shown(name), given.type_name());
    const auto& dtype = given.get_ref<const std::string&>();
    const auto known = std::ranges::find(dtypes, dtype, &DTypeEntry::name);
    if (known == dtypes.end())
      refuse("tensor '{}': dtype '{}' is unknown; allowed are {}", shown(name), shown(dtype),
             allowed_dtypes());
    return known->dtype;
  }

  std::vector<std::int64_t> read_shape(const std::string& name, const json& value) const {
    const auto& given = entry(name, value, "shape");
    if (!given.is_array())
      refuse("tensor '{}': shape is a {}; it must be an array", shown(name), given.type_name());
    if (given.size() > limits_.max_dims)
      refuse("tensor '{}': shape has {} dimensions; allowed are at most {}", shown(name),
             given.size(), limits_.max_dims);
    constexpr std::uint64_t longest = std::numeric_limits<std::int64_t>::max();
    std::vector<std::int64_t> shape;
    for (const auto& side : given) {
      if (!side.is_number_unsigned() || side.get<std::uint64_t>() > longest)
        refuse("tensor '{}': shape holds {}; allowed are integers from 0 to {}", shown(name),
               shown(side.dump()), longest);
      shape.push_back(side.get<std::int64_t>());
    }
    return shape;
  }

  std::pair<std::uint64_t, std::uint64_t> read_offsets(const std::string& name,
                                                       const json& value) const {
    const auto& given = entry(name, value, "data_offsets");
    if (!given.is_array() || given.size() != 2 || !given[0].is_number_unsigned() ||
        !given[1].is_number_unsigned())
      refuse("tensor '{}': data_offsets is {}; it must be two non-negative 64-bit integers",
             shown(name), shown(given.dump()));
    return {given[0].get<std::uint64_t>(), given[1].get<std::uint64_t>()};
  }

  const std::string& file_;
  const SafetensorsLimits& limits_;
};

}  // namespace

std::string_view dtype_name(DType dtype) { return entry_of(dtype).name; }
std::size_t dtype_size(DType dtype) { return entry_of(dtype).size; }

Safetensors Safetensors::load(const std::filesystem::path& path, const SafetensorsLimits& limits) {
  return parse(read_file(path, limits.max_file_bytes), path.string(), limits);
}

Safetensors Safetensors::parse(std::vector<std::uint8_t> bytes, const std::string& name,
                               const SafetensorsLimits& limits) {
  Safetensors file;
  file.name_ = name;
  file.bytes_ = std::move(bytes);
  const std::span<const std::uint8_t> all(file.bytes_);

  const HeaderReader reader(file.name_, limits);
  const std::uint64_t length = reader.header_bytes(all);
  const auto data = all.subspan(8 + length);
  const json header =
      reader.parse(std::string_view(reinterpret_cast<const char*>(all.data()) + 8, length));
  for (const auto& [key, value] : header.items()) {  // sorted by key
    if (key == metadata_key)
      file.metadata_ = reader.metadata(value);
    else
      file.tensors_.push_back(reader.tensor(key, value, data));
  }
  reader.check_layout(file.tensors_, data);
  return file;
}

const TensorView* Safetensors::find(std::string_view name) const {
  const auto found = std::ranges::lower_bound(
      tensors_, name, {}, [](const TensorView& t) { return std::string_view(t.name); });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

const TensorView& Safetensors::at(std::string_view name) const {
  if (const auto* tensor = find(name)) return *tensor;
  fail(ErrorCode::BadData, "{}: has no tensor '{}' among its {} tensors", name_, shown(name),
       tensors_.size());
}

void save_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                      const std::map<std::string, std::string>& metadata, Overwrite overwrite) {
  const auto refuse = [&](const TensorView& tensor, const std::string& message) {
    fail(ErrorCode::InvalidArgument, "{}: tensor '{}': {}", path.string(), shown(tensor.name),
         message);
  };
  // Built entry by entry: JSON objects of the library would sort the names or search them linearly.
  std::string header;
  std::set<std::string_view> names;
  std::uint64_t offset = 0;
  try {
    if (!metadata.empty()) header = json(metadata_key).dump() + ":" + json(metadata).dump();
    for (const auto& tensor : tensors) {
      if (tensor.name == metadata_key) refuse(tensor, "this name is reserved");
      if (!names.insert(tensor.name).second) refuse(tensor, "the name repeats");
      const auto size = byte_count(tensor.dtype, tensor.shape);
      if (size != tensor.bytes.size())
        refuse(tensor, fmt::format("has {} bytes, which do not fit {} {}", tensor.bytes.size(),
                                   dtype_name(tensor.dtype), shape_text(tensor.shape)));
      const json entry = {{"dtype", dtype_name(tensor.dtype)},
                          {"shape", tensor.shape},
                          {"data_offsets", {offset, offset + tensor.bytes.size()}}};
      header += (header.empty() ? "" : ",") + json(tensor.name).dump() + ":" + entry.dump();
      offset += tensor.bytes.size();
    }
  } catch (const json::exception&) {
    fail(ErrorCode::InvalidArgument, "{}: a tensor name or metadata entry is not valid UTF-8",
         path.string());
  }
  header = "{" + header + "}";
  header.resize((header.size() + 7) / 8 * 8,
                ' ');  // the data begins at 8 + header, a multiple of 8

  std::vector<std::uint8_t> bytes;
  bytes.reserve(8 + header.size() + offset);
  for (int i = 0; i < 8; ++i)
    bytes.push_back(
        static_cast<std::uint8_t>(static_cast<std::uint64_t>(header.size()) >> (8 * i)));
  bytes.insert(bytes.end(), header.begin(), header.end());
  for (const auto& tensor : tensors)
    bytes.insert(bytes.end(), tensor.bytes.begin(), tensor.bytes.end());
  write_file(path, bytes, overwrite);
}

}  // namespace veilnet
