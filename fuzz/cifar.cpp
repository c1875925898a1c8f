// The CIFAR-10 loader. The input is a file of records, cut in two for training and test; after a
// line "names:" the class names follow.
#include "data/sources.h"
#include "fuzz.h"

using namespace veilnet;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::Folder folder;
  static const bool linked = [] {
    for (const char* name :
         {"data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"})
      std::filesystem::create_symlink("data_batch_1.bin", folder.path() / name);
    return true;
  }();
  fuzz::require(linked, "all five training files are one");
  constexpr std::string_view marker = "\nnames:\n";
  const fuzz::Bytes all{data, size};
  const auto text = fuzz::text_of(all);
  const auto at = std::min(text.rfind(marker), size);
  const auto records = at / 3073, cut = records / 2 * 3073;
  folder.write("data_batch_1.bin", all.first(cut));
  folder.write("test_batch.bin", all.first(at).subspan(cut));
  const auto names = folder.path() / "batches.meta.txt";
  std::filesystem::remove(names);
  if (at < size) folder.write("batches.meta.txt", all.subspan(at + marker.size()));
  fuzz::try_parse([&] {
    const auto sets = data::load_cifar10(folder.path());
    fuzz::require(sets.train.class_names.size() == 10, "ten classes");
    for (const auto* set : {&sets.train, &sets.test})
      for (const auto label : set->labels) fuzz::require(label >= 0 && label < 10, "labels fit");
  });
  return 0;
}
