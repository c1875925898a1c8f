#include "data/sources.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "core/error.h"

namespace veilnet::data {
namespace {

constexpr auto kSources = std::to_array<Source>({
    {"cifar10", "CIFAR-10 binaries: the folder of data_batch_1.bin, ..., or one such file", true,
     0.1, [](const SourceOptions& o) { return load_cifar10(o.path); }},
    {"cifar100", "CIFAR-100 binaries: the folder of train.bin and test.bin", true, 0.05,
     [](const SourceOptions& o) { return load_cifar100(o.path); }},
    {"cifar100-coarse", "the same pictures, named by their 20 superclasses", true, 0.05,
     [](const SourceOptions& o) { return load_cifar100_coarse(o.path); }},
    {"folder", "picture files: the folder of train/<class>/, val/<class>/ and test/<class>/", true,
     0.1, [](const SourceOptions& o) { return load_image_folder(o.path, o.height, o.width); }},
    {"idx", "IDX files as of MNIST, gzipped or not: their folder", true, 0.1, load_idx},
    {"synthetic", "ten kinds of things, drawn; needs no files", false, 0.1,
     [](const SourceOptions& o) {
       return make_synthetic({o.seed, o.train_size, o.test_size});
     }},
});

}  // namespace

std::span<const Source> sources() { return kSources; }

std::vector<std::string> source_names() {
  std::vector<std::string> names;
  for (const auto& source : kSources) names.emplace_back(source.name);
  return names;
}

const Source& source(std::string_view name) {
  const auto found = std::ranges::find(kSources, name, &Source::name);
  if (found == kSources.end()) {
    fail(ErrorCode::InvalidArgument, "there is no data source \"{}\"; allowed: {}", name,
         fmt::join(source_names(), ", "));
  }
  return *found;
}

}  // namespace veilnet::data
