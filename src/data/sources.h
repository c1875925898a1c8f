// Where pictures come from: one table of sources.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"

namespace veilnet::data {

/// What a configuration says of its data. Each source takes what it needs.
struct SourceOptions {
  std::filesystem::path path;            ///< of the folder or file
  int height = 32;                       ///< to which pictures of any size are brought
  int width = 32;                        ///<
  std::vector<std::string> class_names;  ///< where files do not name them; empty: "0", "1", ...
  std::uint64_t seed = 1;                ///< of pictures that are drawn, as is what follows
  std::size_t train_size = 6000;
  std::size_t test_size = 1000;
};

/// A line of the table.
struct Source {
  std::string_view name;   ///< data.source
  std::string_view reads;  ///< what it reads, for help
  bool needs_path;
  double validation_fraction;  ///< default of data.validation_fraction
  TrainTest (*load)(const SourceOptions& options);
};
std::span<const Source> sources();
/// @throws Error{InvalidArgument} for a name that is not in the table, listing those that are.
const Source& source(std::string_view name);
std::vector<std::string> source_names();

/// CIFAR-10 in the official binary layout: data_batch_1.bin .. data_batch_5.bin, test_batch.bin
/// (records of 1 label byte and 3072 pixel bytes, planes R, G, B), any positive record count per
/// file. Class names from batches.meta.txt when there, the official ones else. `path` is the folder
/// itself or its parent (then cifar-10-batches-bin is appended), or one data_batch file, which is
/// then the whole training set.
/// @throws Error{NotFound} for a missing folder or file; Error{BadData} for a size that is no
/// multiple of the record or a label out of range, naming file, record index and value; for a wrong
/// number of class names; as check_class_name(), naming the line; and as check().
TrainTest load_cifar10(const std::filesystem::path& path);

/// CIFAR-100 likewise: train.bin, test.bin (records of coarse label, fine label, 3072 pixels),
/// fine_label_names.txt, coarse_label_names.txt; folder cifar-100-binary. The class is the fine
/// label or, of load_cifar100_coarse, the superclass.
TrainTest load_cifar100(const std::filesystem::path& path);
TrainTest load_cifar100_coarse(const std::filesystem::path& path);

/// train/<class>/**.{png,jpg,jpeg,webp}, val/<class>/... and test/<class>/..., classes sorted by
/// name, files sorted within a class, resized and centre-cropped; their order is then
/// drawn, always alike, so that the first of them are of all classes. Folders in a class folder,
/// linked ones too, belong to it (image/folder.h). val/ is the validation set. Without test/, or
/// where its pictures are in no folder of a class, every fifth file of each class (of fewer than
/// five the last) becomes the test set. The notes say so, and count what is left out.
/// @throws Error{InvalidArgument} for sides below 1; Error{NotFound} for a missing folder;
/// Error{Io} for one that cannot be listed; Error{BadData} for an empty class folder or an empty
/// val/ or test/, a class of these unknown in train, fewer than two classes, a class of one picture
/// where there is no test folder, or a picture that cannot be decoded (named); as
/// check_class_name(); and as check().
TrainTest load_image_folder(const std::filesystem::path& folder, int height, int width);

/// IDX files as of MNIST (grey pictures of unsigned bytes), gzipped or not, in the folder `path`:
/// train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
/// t10k-labels-idx1-ubyte, each also with .gz behind it or with a dot before idx. Grey becomes RGB,
/// and a black border brings both sides to the next multiple of 16 (28 to 32).
/// @throws Error{NotFound} for a missing folder or file; Error{BadData}, naming the file, for
/// another magic number, type or number of dimensions, sides above 1024 or more than 2 GiB, 4 GiB
/// as RGB, a truncated file or one with more than its sizes say, damaged gzip data, counts of
/// pictures and labels that differ, a label without a name; as check_class_name(); and as check().
TrainTest load_idx(const SourceOptions& options);

struct SyntheticOptions {
  std::uint64_t seed = 1;
  std::size_t train_size = 6000;
  std::size_t test_size = 1000;
};

/// Ten balanced classes of 32x32 pictures of things (house, tree, fish, ...) drawn
/// deterministically from the seed and told apart by shape alone: a linear classifier on the pixels
/// reaches about 18 %, ResNet-20 about 99 % after 6 epochs. A larger set starts with the pictures
/// of a smaller one.
/// @throws Error{InvalidArgument} for sizes out of range.
TrainTest make_synthetic(const SyntheticOptions& options = {});

}  // namespace veilnet::data
