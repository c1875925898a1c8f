// Key files.
#include "cipher/key_file.h"
#include "fuzz.h"

using namespace veilnet;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::Folder folder;
  folder.write("key.json", {data, size});
  fuzz::try_parse([&] {
    const auto key = cipher::load_key(folder.path() / "key.json");
    fuzz::require(!cipher::describe(key.options).empty(), "a key says what it is for");
    fuzz::require(cipher::key_id(key).size() == 16, "a key has an id");
  });
  return 0;
}
