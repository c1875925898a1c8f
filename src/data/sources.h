// Where pictures come from: CIFAR binaries, a folder of picture files, or the synthetic set.
#pragma once

#include <cstdint>
#include <filesystem>

#include "data/dataset.h"

namespace veilnet::data {

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
/// fine_label_names.txt; folder cifar-100-binary. Fine labels are used.
TrainTest load_cifar100(const std::filesystem::path& path);

/// train/<class>/**.{png,jpg,jpeg,webp}, val/<class>/... and test/<class>/..., classes sorted by
/// name, files sorted within a class, resized and centre-cropped. Folders in a class folder, linked
/// ones too, belong to it (image/folder.h). val/ is the validation set. Without test/, or where its
/// pictures are in no folder of a class, every fifth file of each class (of fewer than five the
/// last) becomes the test set. The notes say so, and count what is left out.
/// @throws Error{InvalidArgument} for sides below 1; Error{NotFound} for a missing folder;
/// Error{Io} for one that cannot be listed; Error{BadData} for an empty class folder or an empty
/// val/ or test/, a class of these unknown in train, fewer than two classes, a class of one picture
/// where there is no test folder, or a picture that cannot be decoded (named); as
/// check_class_name(); and as check().
TrainTest load_image_folder(const std::filesystem::path& folder, int height, int width);

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
