// Model files: the container.
#include "core/safetensors.h"

#include "fuzz.h"

using namespace veilnet;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::try_parse([&] {
    const auto file = Safetensors::parse({data, data + size}, "x.safetensors");
    [[maybe_unused]] static volatile std::uint8_t last;  // so that every byte is read
    std::size_t bytes = 0;
    for (const auto& tensor : file.tensors()) {
      fuzz::require(file.find(tensor.name) == &tensor, "every tensor is found by its name");
      for (const auto byte : tensor.bytes) last = byte;
      bytes += tensor.bytes.size();
    }
    fuzz::require(bytes < size, "tensors lie in the file");
  });
  return 0;
}
