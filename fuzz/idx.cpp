// The IDX loader. The input is a file of pictures and, after a line "labels:", one of labels; both
// are training and test set at once.
#include "data/sources.h"
#include "fuzz.h"

using namespace veilnet;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::Folder folder;
  static const bool linked = [] {
    for (const char* kind : {"images-idx3-ubyte", "labels-idx1-ubyte"})
      std::filesystem::create_symlink(std::string("train-") + kind,
                                      folder.path() / (std::string("t10k-") + kind));
    return true;
  }();
  fuzz::require(linked, "both sets are one");
  constexpr std::string_view marker = "\nlabels:\n";
  const fuzz::Bytes all{data, size};
  const auto at = std::min(fuzz::text_of(all).rfind(marker), size);
  folder.write("train-images-idx3-ubyte", all.first(at));
  folder.write("train-labels-idx1-ubyte", all.subspan(std::min(at + marker.size(), size)));
  fuzz::try_parse([&] {
    const auto sets = data::load_idx({.path = folder.path()});
    fuzz::require(sets.train.size() == sets.test.size(), "both sets are one");
    for (const auto label : sets.train.labels)
      fuzz::require(label >= 0 && std::size_t(label) < sets.train.class_names.size(), "labels fit");
  });
  return 0;
}
