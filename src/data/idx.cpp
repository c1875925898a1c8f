// IDX, the format of MNIST (LeCun, Cortes, Burges 1998): a magic number that states type and
// dimensions, their sizes, and the values.
#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <zlib.h>

#include "core/error.h"
#include "data/sources.h"

namespace veilnet::data {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxBytes = std::size_t{2} << 30;
constexpr std::size_t kMaxRgbBytes = std::size_t{4} << 30;
constexpr int kMaxSide = 1024;

/// Reads through zlib, which passes on a file that is not gzipped as it is.
class IdxFile {
 public:
  explicit IdxFile(const fs::path& path) : path_(path.string()), file_(gzopen(path.c_str(), "rb")) {
    if (!file_) fail(ErrorCode::Io, "cannot open {}", path_);
  }

  /// As many bytes as are left, at most `count`.
  std::vector<std::uint8_t> read_some(std::size_t count) {
    std::vector<std::uint8_t> out;
    constexpr std::size_t piece = 1 << 20;  // memory follows what the file holds, not what it says
    while (out.size() < count) {
      const auto before = out.size();
      out.resize(before + std::min(piece, count - before));
      const int got =
          gzread(file_.get(), out.data() + before, static_cast<unsigned>(out.size() - before));
      int status = Z_OK;
      const char* message = gzerror(file_.get(), &status);
      if (got < 0 || (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR))
        refuse("is damaged: {}", message);
      out.resize(before + static_cast<std::size_t>(std::max(got, 0)));
      if (got == 0 || status == Z_BUF_ERROR) break;
    }
    return out;
  }
  std::vector<std::uint8_t> read(std::size_t count, const char* what) {
    auto bytes = read_some(count);
    if (bytes.size() < count)
      refuse("is truncated: {} of {} bytes of {}", bytes.size(), count, what);
    return bytes;
  }

  template <class... Values>
  [[noreturn]] void refuse(fmt::format_string<Values...> format, Values&&... values) const {
    fail(ErrorCode::BadData, "{}: {}", path_, fmt::format(format, std::forward<Values>(values)...));
  }

 private:
  struct Close {
    void operator()(gzFile file) const { gzclose(file); }
  };
  std::string path_;
  std::unique_ptr<gzFile_s, Close> file_;
};

template <std::size_t dimensions>
struct Values {
  std::array<std::size_t, dimensions> sizes;
  std::vector<std::uint8_t> bytes;
};

template <std::size_t dimensions>
Values<dimensions> read_values(const fs::path& path) {
  IdxFile file(path);
  const auto magic = file.read(4, "the magic number");
  constexpr std::uint8_t unsigned_byte = 0x08;
  if (magic[0] != 0 || magic[1] != 0 || magic[2] != unsigned_byte || magic[3] != dimensions) {
    file.refuse(
        "begins with {:02x} {:02x} {:02x} {:02x}; an IDX file of {} dimensions of unsigned bytes "
        "begins with 00 00 08 {:02x}",
        magic[0], magic[1], magic[2], magic[3], dimensions, dimensions);
  }
  Values<dimensions> values{};
  std::size_t count = 1;
  for (auto& size : values.sizes) {
    for (const auto byte : file.read(4, "a size")) size = size << 8 | byte;
    if (size == 0 || size > kMaxBytes / count) {
      file.refuse("has sizes up to {}; allowed are 1 to {} bytes in all", size, kMaxBytes);
    }
    count *= size;
  }
  values.bytes = file.read(count, "values");
  if (!file.read_some(1).empty()) file.refuse("goes on after the {} values of its sizes", count);
  return values;
}

fs::path find_file(const fs::path& folder, const std::string& part, const std::string& kind) {
  for (const char* separator : {"-", "."}) {
    for (const char* ending : {"", ".gz"}) {
      const auto path = folder / fmt::format("{}{}{}{}", part, separator, kind, ending);
      if (fs::is_regular_file(path)) return path;
    }
  }
  fail(ErrorCode::NotFound, "no such file: {}, also with .gz",
       (folder / fmt::format("{}-{}", part, kind)).string());
}

/// Grey to RGB in the middle of black.
image::Batch padded(const Values<3>& grey, const fs::path& path) {
  const auto [count, height, width] = grey.sizes;
  if (height > kMaxSide || width > kMaxSide) {
    fail(ErrorCode::BadData, "{}: pictures of {}x{}; allowed are sides up to {}", path.string(),
         width, height, kMaxSide);
  }
  const auto up = [](std::size_t side) { return (side + 15) / 16 * 16; };
  // A picture of one pixel becomes one of 256, and a file of zeros is short when gzipped.
  if (count > kMaxRgbBytes / (3 * up(height) * up(width))) {
    fail(ErrorCode::BadData,
         "{}: {} pictures of {}x{}, as RGB of {}x{}, are more than the {} bytes that are allowed",
         path.string(), count, width, height, up(width), up(height), kMaxRgbBytes);
  }
  image::Batch out(static_cast<int>(up(height)), static_cast<int>(up(width)), count);
  const auto top = (up(height) - height) / 2, left = (up(width) - width) / 2;
  auto value = grey.bytes.begin();
  for (std::size_t i = 0; i < count; ++i) {
    const auto picture = out.picture(i);
    for (std::size_t y = 0; y < height; ++y) {
      auto pixel =
          picture.begin() + static_cast<std::ptrdiff_t>(3 * ((top + y) * up(width) + left));
      for (std::size_t x = 0; x < width; ++x) pixel = std::fill_n(pixel, 3, *value++);
    }
  }
  return out;
}

/// @param class_names empty where any label is allowed.
Dataset read_part(const fs::path& folder, const std::string& part,
                  const std::vector<std::string>& class_names) {
  const auto pictures_path = find_file(folder, part + "-images", "idx3-ubyte"),
             labels_path = find_file(folder, part + "-labels", "idx1-ubyte");
  const auto labels = read_values<1>(labels_path);
  const auto grey = read_values<3>(pictures_path);
  if (grey.sizes[0] != labels.sizes[0]) {
    fail(ErrorCode::BadData, "{}: {} labels; {} has {} pictures", labels_path.string(),
         labels.sizes[0], pictures_path.string(), grey.sizes[0]);
  }
  for (std::size_t i = 0; i < labels.bytes.size(); ++i) {
    if (class_names.empty() || labels.bytes[i] < class_names.size()) continue;
    fail(ErrorCode::BadData, "{}: label {} of picture {}; allowed is 0 to {}", labels_path.string(),
         labels.bytes[i], i, class_names.size() - 1);
  }
  return {fs::canonical(folder).filename().string(),
          class_names,
          padded(grey, pictures_path),
          {labels.bytes.begin(), labels.bytes.end()}};
}

}  // namespace

TrainTest load_idx(const SourceOptions& options) {
  if (!fs::is_directory(options.path))
    fail(ErrorCode::NotFound, "no such folder: {}", options.path.string());
  for (const auto& name : options.class_names) check_class_name(name, "data.class_names");
  TrainTest data;
  data.train = read_part(options.path, "train", options.class_names);
  auto& names = data.train.class_names;
  if (names.empty()) {
    const auto last = std::ranges::max(data.train.labels);
    for (std::int32_t label = 0; label <= last; ++label) names.push_back(std::to_string(label));
  }
  data.test = read_part(options.path, "t10k", names);
  check(data);
  return data;
}

}  // namespace veilnet::data
