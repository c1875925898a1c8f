// Tiny data sets for the tests of this folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <vector>

#include "core/files.h"
#include "data/dataset.h"
#include "support.h"

namespace veilnet::data::test {

using veilnet::test::bytes;
using veilnet::test::expect_error;
using veilnet::test::TemporaryFolder;

inline void write_bytes(const std::filesystem::path& path, const std::vector<std::uint8_t>& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(out.flush()) << path;
}

inline void write_lines(const std::filesystem::path& path, const std::string& text) {
  write_bytes(path, std::vector<std::uint8_t>(text.begin(), text.end()));
}

/// Pictures whose every byte tells picture and place apart; labels repeat 0, 1, ..., classes - 1.
inline Dataset numbered(std::size_t count, int height, int width, int classes) {
  Dataset set;
  set.name = "numbered";
  set.pictures = image::Batch(height, width, count);
  for (int c = 0; c < classes; ++c) set.class_names.push_back("class" + std::to_string(c));
  for (std::size_t i = 0; i < count; ++i) {
    set.labels.push_back(static_cast<std::int32_t>(i % static_cast<std::size_t>(classes)));
    for (std::size_t b = 0; b < set.image_bytes(); ++b)
      set.pictures.picture(i)[b] = static_cast<std::uint8_t>(1 + (i * 37 + b) % 255);
  }
  return set;
}

}  // namespace veilnet::data::test
