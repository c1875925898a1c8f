#include "core/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <set>

#include <nlohmann/json.hpp>

#include "core/error.h"

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

/// Text from the file as a message may show it: short and printable.
std::string shown(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, 80)) result += c >= 0x20 && c < 0x7f ? c : '?';
  return text.size() > 80 ? result + "..." : result;
}

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
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i)
    text.append(i ? "," : "").append(std::to_string(shape[i]));
  return text + "]";
}

/// Reads the header of one file; every complaint names that file.
class HeaderReader {
 public:
  HeaderReader(const std::string& file, const SafetensorsLimits& limits)
      : file_(file), limits_(limits) {}

  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorCode::BadData, file_ + ": " + message);
  }

  std::uint64_t header_bytes(std::span<const std::uint8_t> bytes) const {
    if (bytes.size() > limits_.max_file_bytes)
      fail("has " + std::to_string(bytes.size()) + " bytes; allowed are at most " +
           std::to_string(limits_.max_file_bytes));
    if (bytes.size() < 8)
      fail("truncated: has " + std::to_string(bytes.size()) +
           " bytes; a safetensors file has at least 8");
    std::uint64_t length = 0;
    for (int i = 0; i < 8; ++i) length |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
    if (length > limits_.max_header_bytes)
      fail("the header claims " + std::to_string(length) + " bytes; allowed are at most " +
           std::to_string(limits_.max_header_bytes));
    if (length > bytes.size() - 8)
      fail("truncated: the header claims " + std::to_string(length) + " bytes, the file has " +
           std::to_string(bytes.size() - 8) + " after its length");
    return length;
  }

  json parse(std::string_view text) const {
    if (text.empty() || text.front() != '{')
      fail("the header is not a JSON object: it must begin with '{'");
    // nlohmann takes a zero byte for the end, whatever follows.
    if (text.find('\0') != text.npos) fail("the header is not valid JSON: it holds a zero byte");
    // It keeps the last of several equal keys and has no depth limit, so both are watched here.
    constexpr int deepest = 3;  // header > tensor > shape
    std::vector<std::set<std::string>> open_objects;
    const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
      if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
        if (depth >= deepest)
          fail("the header is nested deeper than " + std::to_string(deepest) + " levels");
      }
      if (event == json::parse_event_t::object_start) open_objects.emplace_back();
      if (event == json::parse_event_t::object_end) open_objects.pop_back();
      if (event == json::parse_event_t::key) {
        const auto& key = parsed.get_ref<const std::string&>();
        if (!open_objects.back().insert(key).second)
          fail("the header repeats the key '" + shown(key) + "'");
        // One more than the tensors, for the metadata.
        if (open_objects.size() == 1 && open_objects.back().size() > limits_.max_tensors + 1)
          fail_count();
      }
      return true;
    };
    try {
      return json::parse(text, watch);
    } catch (const json::exception& e) {
      fail("the header is not valid JSON: " + shown(std::string_view(e.what())));
    }
  }

  std::map<std::string, std::string> metadata(const json& value) const {
    if (!value.is_object()) fail("__metadata__ is no object of strings");
    std::map<std::string, std::string> result;
    for (const auto& [key, entry] : value.items()) {
      if (!entry.is_string())
        fail("__metadata__ value of '" + shown(key) + "' is a " + entry.type_name() +
             "; it must be a string");
      result.emplace(key, entry.get<std::string>());
    }
    return result;
  }

  TensorView tensor(const std::string& name, const json& value,
                    std::span<const std::uint8_t> data) const {
    const std::string where = "tensor '" + shown(name) + "': ";
    if (!value.is_object()) fail(where + "its entry is no object");
    for (const auto& [key, entry] : value.items())
      if (key != "dtype" && key != "shape" && key != "data_offsets")
        fail(where + "unknown entry '" + shown(key) + "'; allowed are dtype, shape, data_offsets");
    TensorView view{name, read_dtype(value, where), read_shape(value, where), {}};

    const auto size = byte_count(view.dtype, view.shape);
    if (!size) fail(where + "shape " + shape_text(view.shape) + " overflows 64 bits");
    const auto [begin, end] = read_offsets(value, where);
    const std::string range = "[" + std::to_string(begin) + "," + std::to_string(end) + "]";
    if (begin > end) fail(where + "data_offsets " + range + " run backwards");
    if (end > data.size())
      fail(where + "data_offsets " + range + " reach past the " + std::to_string(data.size()) +
           " bytes of data");
    if (end - begin != *size)
      fail(where + "data_offsets " + range + " hold " + std::to_string(end - begin) + " bytes; " +
           std::string(dtype_name(view.dtype)) + " " + shape_text(view.shape) + " needs " +
           std::to_string(*size));
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
      const std::string at =
          std::to_string(begin(tensor)) + ", expected " + std::to_string(reached);
      if (begin(tensor) < reached)
        fail("tensor '" + shown(tensor->name) + "' overlaps another: it begins at byte " + at);
      if (begin(tensor) > reached)
        fail("gap before tensor '" + shown(tensor->name) + "': it begins at byte " + at);
      reached += tensor->bytes.size();
    }
    if (reached != data.size())
      fail(std::to_string(data.size() - reached) +
           " trailing bytes after the last tensor, which ends at byte " + std::to_string(reached) +
           " of " + std::to_string(data.size()));
  }

  void check_count(std::size_t tensors) const {
    if (tensors > limits_.max_tensors) fail_count();
  }

 private:
  [[noreturn]] void fail_count() const {
    fail("more tensors than the " + std::to_string(limits_.max_tensors) + " that are allowed");
  }

  const json& entry(const json& value, const char* key, const std::string& where) const {
    const auto found = value.find(key);
    if (found == value.end()) fail(where + "lacks '" + key + "'");
    return *found;
  }

  DType read_dtype(const json& value, const std::string& where) const {
    const auto& given = entry(value, "dtype", where);
    if (!given.is_string())
      fail(where + "dtype is a " + given.type_name() + "; it must be a string");
    const auto& name = given.get_ref<const std::string&>();
    const auto known = std::ranges::find(dtypes, name, &DTypeEntry::name);
    if (known == dtypes.end())
      fail(where + "dtype '" + shown(name) + "' is unknown; allowed are " + allowed_dtypes());
    return known->dtype;
  }

  std::vector<std::int64_t> read_shape(const json& value, const std::string& where) const {
    const auto& given = entry(value, "shape", where);
    if (!given.is_array())
      fail(where + "shape is a " + given.type_name() + "; it must be an array");
    if (given.size() > limits_.max_dims)
      fail(where + "shape has " + std::to_string(given.size()) +
           " dimensions; allowed are at most " + std::to_string(limits_.max_dims));
    constexpr std::uint64_t longest = std::numeric_limits<std::int64_t>::max();
    std::vector<std::int64_t> shape;
    for (const auto& side : given) {
      if (!side.is_number_unsigned() || side.get<std::uint64_t>() > longest)
        fail(where + "shape holds " + shown(side.dump()) + "; allowed are integers from 0 to " +
             std::to_string(longest));
      shape.push_back(side.get<std::int64_t>());
    }
    return shape;
  }

  std::pair<std::uint64_t, std::uint64_t> read_offsets(const json& value,
                                                       const std::string& where) const {
    const auto& given = entry(value, "data_offsets", where);
    if (!given.is_array() || given.size() != 2 || !given[0].is_number_unsigned() ||
        !given[1].is_number_unsigned())
      fail(where + "data_offsets is " + shown(given.dump()) +
           "; it must be two non-negative 64-bit integers");
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
  reader.check_count(header.size() - header.count(metadata_key));
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
  throw Error(ErrorCode::BadData, name_ + ": has no tensor '" + shown(name) + "' among its " +
                                      std::to_string(tensors_.size()) + " tensors");
}

void save_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                      const std::map<std::string, std::string>& metadata, Overwrite overwrite) {
  const auto refuse = [&](const TensorView& tensor, const std::string& message) {
    throw Error(ErrorCode::InvalidArgument,
                path.string() + ": tensor '" + shown(tensor.name) + "': " + message);
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
        refuse(tensor, "has " + std::to_string(tensor.bytes.size()) + " bytes, which do not fit " +
                           std::string(dtype_name(tensor.dtype)) + " " + shape_text(tensor.shape));
      const json entry = {{"dtype", dtype_name(tensor.dtype)},
                          {"shape", tensor.shape},
                          {"data_offsets", {offset, offset + tensor.bytes.size()}}};
      header += (header.empty() ? "" : ",") + json(tensor.name).dump() + ":" + entry.dump();
      offset += tensor.bytes.size();
    }
  } catch (const json::exception&) {
    throw Error(ErrorCode::InvalidArgument,
                path.string() + ": a tensor name or metadata entry is not valid UTF-8");
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
