#include <algorithm>
#include <numeric>

#include "data/fixtures.h"
#include "data/sources.h"
#include "image/image.h"

namespace veilnet::data {
namespace {

using namespace test;

void write_picture(const std::filesystem::path& path, std::uint8_t value, int height = 6,
                   int width = 8) {
  image::Image picture{
      height, width,
      std::vector<std::uint8_t>(static_cast<std::size_t>(height) * width * 3, value)};
  image::write_png(path, picture, Overwrite::Yes);
}

/// train/{cat,dog} with 2 and 3 pictures, test/{cat,dog} with 1 each.
void write_folder(const std::filesystem::path& folder) {
  write_picture(folder / "train/dog/b.png", 21);
  write_picture(folder / "train/dog/a.PNG", 20);
  write_picture(folder / "train/dog/c.png", 22);
  write_picture(folder / "train/cat/2.png", 11);
  write_picture(folder / "train/cat/1.png", 10);
  write_picture(folder / "test/cat/1.png", 30);
  write_picture(folder / "test/dog/1.png", 31);
}

/// Positions of pictures in the order of their first bytes.
std::vector<std::size_t> order(const Dataset& set) {
  std::vector<std::size_t> positions(set.size());
  std::iota(positions.begin(), positions.end(), std::size_t{0});
  std::ranges::sort(positions, {}, [&](std::size_t i) { return set.image(i)[0]; });
  return positions;
}

std::vector<int> first_bytes(const Dataset& set) {
  std::vector<int> values;
  for (const auto i : order(set)) values.push_back(set.image(i)[0]);
  return values;
}

/// Of the pictures in that order.
std::vector<std::int32_t> labels(const Dataset& set) {
  std::vector<std::int32_t> out;
  for (const auto i : order(set)) out.push_back(set.labels[i]);
  return out;
}

TEST(ImageFolder, SortsClassesAndFiles) {
  TemporaryFolder folder;
  write_folder(folder / "pets");
  write_lines(folder / "pets/train/dog/notes.txt", "not a picture");
  write_lines(folder / "pets/train/dog/.hidden.png", "not a picture");
  write_lines(folder / "pets/train/README", "not a class");
  const auto data = load_image_folder(folder / "pets/", 4, 4);
  EXPECT_EQ(data.train.name, "pets");
  EXPECT_EQ(data.train.class_names, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(labels(data.train), (std::vector<std::int32_t>{0, 0, 1, 1, 1}));
  EXPECT_EQ(first_bytes(data.train), (std::vector<int>{10, 11, 20, 21, 22}));
  EXPECT_EQ(labels(data.test), (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(first_bytes(data.test), (std::vector<int>{30, 31}));
}

TEST(ImageFolder, ResizesAndCropsTheCentre) {
  TemporaryFolder folder;
  write_folder(folder.path());
  // Black with a white middle third: the centre square of the wide picture is all white.
  image::Image wide{4, 12, std::vector<std::uint8_t>(4 * 12 * 3, 0)};
  for (int y = 0; y < 4; ++y) std::fill_n(wide.rgb.begin() + (y * 12 + 4) * 3, 4 * 3, 255);
  image::write_png(folder / "train/cat/1.png", wide, Overwrite::Yes);
  const auto data = load_image_folder(folder.path(), 2, 2);
  EXPECT_EQ(data.train.pictures.height(), 2);
  EXPECT_EQ(data.train.pictures.width(), 2);
  const auto last = data.train.image(order(data.train).back());
  EXPECT_EQ(std::vector<std::uint8_t>(last.begin(), last.end()),
            std::vector<std::uint8_t>(12, 255));
}

// Whoever takes the first pictures, or every second, has some of each class.
TEST(ImageFolder, MixesItsClassesAlwaysAlike) {
  TemporaryFolder folder;
  for (const std::string name : {"cat", "dog"})
    for (int i = 0; i < 40; ++i)
      write_picture(folder / ("train/" + name + "/" + std::to_string(i) + ".png"),
                    static_cast<std::uint8_t>(i));
  const auto data = load_image_folder(folder.path(), 4, 4);
  const auto of = [&](std::size_t start, std::size_t step) {
    std::size_t dogs = 0;
    for (auto i = start; i < 32; i += step) dogs += data.train.labels[i] == 1;
    return static_cast<double>(dogs) / static_cast<double>(32 / step);
  };
  for (const double share : {of(0, 1), of(0, 2), of(1, 2)}) {
    EXPECT_GT(share, 0.2);
    EXPECT_LT(share, 0.8);
  }
  EXPECT_EQ(load_image_folder(folder.path(), 4, 4).hash(), data.hash());
}

TEST(ImageFolder, WithoutATestFolderEveryFifthFileIsTest) {
  TemporaryFolder folder;
  for (int i = 0; i < 11; ++i)
    write_picture(folder / ("train/many/" + std::to_string(100 + i) + ".png"),
                  static_cast<std::uint8_t>(i));
  for (int i = 0; i < 2; ++i)
    write_picture(folder / ("train/few/" + std::to_string(i) + ".png"),
                  static_cast<std::uint8_t>(50 + i));
  const auto data = load_image_folder(folder.path(), 4, 4);
  EXPECT_EQ(first_bytes(data.train), (std::vector<int>{0, 1, 2, 3, 5, 6, 7, 8, 10, 50}));
  EXPECT_EQ(first_bytes(data.test), (std::vector<int>{4, 9, 51}));
  EXPECT_EQ(labels(data.test), (std::vector<std::int32_t>{1, 1, 0}));
}

/// The note that contains this text, or all of them where none does.
std::string note_with(const TrainTest& data, const std::string& text) {
  std::string all = "no note with it, but: ";
  for (const auto& note : data.notes) {
    if (note.find(text) != std::string::npos) return note;
    all += note + "; ";
  }
  return all;
}

TEST(ImageFolder, SaysNothingWhereEverythingIsPlain) {
  TemporaryFolder folder;
  write_folder(folder.path());
  const auto data = load_image_folder(folder.path(), 4, 4);
  EXPECT_TRUE(data.notes.empty()) << data.notes.front();
  EXPECT_FALSE(data.split);
}

TEST(ImageFolder, TakesValAsTheValidationSetAndSaysWhatIsTested) {
  TemporaryFolder folder;
  write_folder(folder.path());
  write_picture(folder / "val/dog/1.png", 41);
  write_picture(folder / "val/cat/1.png", 40);
  const auto data = load_image_folder(folder.path(), 4, 4);
  EXPECT_EQ(first_bytes(data.train), (std::vector<int>{10, 11, 20, 21, 22, 40, 41}));
  EXPECT_EQ(labels(data.train), (std::vector<std::int32_t>{0, 0, 1, 1, 1, 0, 1}));
  EXPECT_EQ(first_bytes(data.test), (std::vector<int>{30, 31}));
  ASSERT_TRUE(data.split);
  EXPECT_EQ(data.split->train, (std::vector<std::uint32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(data.split->validation, (std::vector<std::uint32_t>{5, 6}));
  EXPECT_NE(note_with(data, "/val is the validation set").find("2 pictures"), std::string::npos);
  auto without = data;
  without.split.reset();
  EXPECT_NE(data.hash(), without.hash()) << "the split is part of the data";

  std::filesystem::remove_all(folder / "test");
  const auto rest = load_image_folder(folder.path(), 4, 4);
  EXPECT_EQ(first_bytes(rest.train), (std::vector<int>{10, 20, 21, 40, 41}));
  EXPECT_EQ(first_bytes(rest.test), (std::vector<int>{11, 22}));
  EXPECT_EQ(rest.split->validation, (std::vector<std::uint32_t>{3, 4}));
  EXPECT_NE(note_with(rest, "every fifth picture").find("2 in all"), std::string::npos);
}

// Tiny-ImageNet: train/<class>/images/, and test/images/ without labels.
TEST(ImageFolder, ReadsNestedFoldersAndLeavesUnlabelledPicturesOut) {
  TemporaryFolder folder;
  for (int i = 0; i < 4; ++i) {
    const auto name = std::to_string(i) + ".png";
    write_picture(folder / ("train/n01/images/" + name), static_cast<std::uint8_t>(10 + i));
    write_picture(folder / ("train/n02/images/more/" + name), static_cast<std::uint8_t>(20 + i));
    write_picture(folder / ("test/images/" + name), 99);
  }
  write_lines(folder / "train/n01/n01_boxes.txt", "0.png 0 0 5 5");
  const auto data = load_image_folder(folder.path(), 4, 4);
  EXPECT_EQ(first_bytes(data.train), (std::vector<int>{10, 11, 12, 20, 21, 22}));
  EXPECT_EQ(first_bytes(data.test), (std::vector<int>{13, 23}));
  EXPECT_NE(note_with(data, "/test is not used: its 4 pictures").find("no folder of a class"),
            std::string::npos);
}

TEST(ImageFolder, FollowsLinkedFoldersOnce) {
  TemporaryFolder folder, elsewhere;
  write_folder(folder.path());
  write_picture(elsewhere / "owls/1.png", 50);
  std::filesystem::create_directory_symlink(elsewhere / "owls", folder / "train/owl");
  std::filesystem::create_directory_symlink(elsewhere / "owls", folder / "test/owl");
  write_picture(elsewhere / "owls/2.png", 51);
  std::filesystem::create_directory_symlink(".", elsewhere / "owls/again");
  const auto data = load_image_folder(folder.path(), 4, 4);
  EXPECT_EQ(data.train.class_names, (std::vector<std::string>{"cat", "dog", "owl"}));
  EXPECT_EQ(first_bytes(data.train), (std::vector<int>{10, 11, 20, 21, 22, 50, 51}));
  EXPECT_EQ(first_bytes(data.test), (std::vector<int>{30, 31, 50, 51}));
}

TEST(ImageFolder, CountsWhatIsLeftOut) {
  TemporaryFolder folder;
  write_folder(folder.path());
  for (const char* name : {"train/cat/old.bmp", "train/dog/old.BMP", "test/dog/x.gif",
                           "train/cat/notes.txt", "train/cat/._1.png", "valid/cat/1.png"})
    write_lines(folder / name, "no picture");
  std::filesystem::create_symlink("self.png", folder / "train/cat/self.png");
  const auto data = load_image_folder(folder.path(), 4, 4);
  EXPECT_EQ(data.train.size(), 5u);
  EXPECT_EQ(note_with(data, "kinds"), "left out, of kinds that are not read: 2 BMP, 1 GIF");
  const auto unreadable = note_with(data, "cannot be read: 1");
  EXPECT_NE(unreadable.find("self.png is a link that leads nowhere"), std::string::npos)
      << unreadable;
  EXPECT_NE(note_with(data, "/valid is not used").find("allowed are train, val and test"),
            std::string::npos);
}

TEST(ImageFolder, RefusesClassNamesThatCannotBeShown) {
  TemporaryFolder folder;
  write_folder(folder.path());
  write_picture(folder / "train/a\x1b[31mred/1.png", 1);
  expect_error(ErrorCode::BadData, {"train", "a\\x1B[31mred", "cannot name a class"},
               [&] { load_image_folder(folder.path(), 4, 4); });
}

TEST(ImageFolder, RefusesAMissingFolder) {
  TemporaryFolder folder;
  expect_error(ErrorCode::NotFound, {"no such folder", "absent"},
               [&] { load_image_folder(folder / "absent", 4, 4); });
  expect_error(ErrorCode::NotFound, {"no such folder", "train"},
               [&] { load_image_folder(folder.path(), 4, 4); });
}

TEST(ImageFolder, RefusesAnEmptyClassFolder) {
  for (const std::string part : {"train", "test", "val"}) {
    TemporaryFolder folder;
    write_folder(folder.path());
    std::filesystem::remove_all(folder / (part + "/cat"));
    write_lines(folder / (part + "/cat/notes.txt"), "no picture");
    write_lines(folder / (part + "/cat/a.bmp"), "no picture");
    expect_error(ErrorCode::BadData, {part + "/cat", "no pictures", ".png, .jpg", "1 BMP"},
                 [&] { load_image_folder(folder.path(), 4, 4); });
  }
}

TEST(ImageFolder, RefusesATestClassUnknownInTrain) {
  TemporaryFolder folder;
  write_folder(folder.path());
  write_picture(folder / "test/horse/1.png", 1);
  expect_error(ErrorCode::BadData, {"test/horse", "'horse'", "does not occur in", "train"},
               [&] { load_image_folder(folder.path(), 4, 4); });
}

TEST(ImageFolder, RefusesOneClassOnly) {
  TemporaryFolder folder;
  write_folder(folder.path());
  std::filesystem::remove_all(folder / "train/dog");
  expect_error(ErrorCode::BadData, {"train", "1 class folder", "at least two"},
               [&] { load_image_folder(folder.path(), 4, 4); });
}

TEST(ImageFolder, RefusesAnEmptyTestFolder) {
  TemporaryFolder folder;
  write_folder(folder.path());
  std::filesystem::remove_all(folder / "test");
  std::filesystem::create_directories(folder / "test");
  expect_error(ErrorCode::BadData, {"/test", "no pictures"},
               [&] { load_image_folder(folder.path(), 4, 4); });
}

TEST(ImageFolder, RefusesASinglePictureWithoutATestFolder) {
  TemporaryFolder folder;
  write_folder(folder.path());
  std::filesystem::remove_all(folder / "test");
  std::filesystem::remove(folder / "train/cat/1.png");
  expect_error(ErrorCode::BadData, {"train/cat", "1 picture", "at least 2"},
               [&] { load_image_folder(folder.path(), 4, 4); });
}

TEST(ImageFolder, RefusesAnUndecodablePicture) {
  TemporaryFolder folder;
  write_folder(folder.path());
  write_lines(folder / "train/cat/2.png", "this is text");
  expect_error(ErrorCode::BadData, {"train/cat/2.png"},
               [&] { load_image_folder(folder.path(), 4, 4); });
}

TEST(ImageFolder, RefusesATruncatedPicture) {
  TemporaryFolder folder;
  write_folder(folder.path());
  const auto path = folder / "train/cat/2.png";
  write_picture(path, 7, 64, 64);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  expect_error(ErrorCode::BadData, {"train/cat/2.png"},
               [&] { load_image_folder(folder.path(), 4, 4); });
}

TEST(ImageFolder, RefusesAnAbsurdlyLargePicture) {
  TemporaryFolder folder;
  write_folder(folder.path());
  const auto path = folder / "train/cat/2.png";
  write_picture(path, 7);
  auto bytes = read_file(path, 1 << 20);
  // Width and height 30000 in the header (bytes 16 to 23), with the CRC-32 of the changed chunk.
  for (std::size_t at : {16, 20}) {
    bytes[at] = bytes[at + 1] = 0;
    bytes[at + 2] = 0x75;
    bytes[at + 3] = 0x30;
  }
  std::uint32_t crc = 0xffffffffu;
  for (std::size_t i = 12; i < 29; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
  }
  crc = ~crc;
  for (std::size_t i = 0; i < 4; ++i)
    bytes[29 + i] = static_cast<std::uint8_t>(crc >> (24 - 8 * i));
  write_bytes(path, bytes);
  expect_error(ErrorCode::BadData, {"train/cat/2.png", "30000"},
               [&] { load_image_folder(folder.path(), 4, 4); });
}

TEST(ImageFolder, RefusesABadTargetSize) {
  TemporaryFolder folder;
  write_folder(folder.path());
  expect_error(ErrorCode::InvalidArgument, {"4x0", "at least 1"},
               [&] { load_image_folder(folder.path(), 0, 4); });
}

}  // namespace
}  // namespace veilnet::data
