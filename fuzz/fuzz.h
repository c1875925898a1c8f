// What the fuzz targets share. A target is one function over bytes; libFuzzer drives it (make
// fuzz), or main() of replay.cpp runs it over the files of its corpus (CTest).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unistd.h>

#include "core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace veilnet::fuzz {

using Bytes = std::span<const std::uint8_t>;

inline std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Ends the process where something that must hold does not.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: does not hold: %s\n", what);
  std::abort();
}

/// Runs a parser. It may refuse with an Error whose message is short and printable; whatever else
/// it throws is a finding, as are crashes and what the sanitizers see.
template <class Parse>
void try_parse(Parse&& parse) {
  try {
    parse();
  } catch (const Error& e) {
    const std::string_view message = e.what();
    require(message.size() <= 2000, "messages are short");
    for (const char c : message)
      require((c >= 0x20 && c != 0x7f) || c < 0, "messages hold no control characters");
  }
}

/// A folder of this process in memory, for parsers that take files. Removed at exit.
class Folder {
 public:
  Folder() : path_("/dev/shm/veilnet-fuzz-" + std::to_string(::getpid())) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  void write(const char* name, Bytes bytes) const {
    const int file = ::open((path_ / name).c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
    require(::write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
            "the folder takes files");
    ::close(file);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace veilnet::fuzz
