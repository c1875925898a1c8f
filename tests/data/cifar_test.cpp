#include <algorithm>
#include <fmt/format.h>

#include "data/fixtures.h"
#include "data/sources.h"

namespace veilnet::data {
namespace {

using namespace test;

/// Records with these labels; a pixel byte tells record, channel and place apart.
std::vector<std::uint8_t> records(const std::vector<std::vector<std::uint8_t>>& labels) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t r = 0; r < labels.size(); ++r) {
    bytes.insert(bytes.end(), labels[r].begin(), labels[r].end());
    for (int channel = 0; channel < 3; ++channel) {
      for (int i = 0; i < 1024; ++i)
        bytes.push_back(static_cast<std::uint8_t>(r * 50 + static_cast<std::size_t>(channel) * 7 +
                                                  static_cast<std::size_t>(i)));
    }
  }
  return bytes;
}

void write_cifar10(const std::filesystem::path& folder) {
  write_bytes(folder / "data_batch_1.bin", records({{0}, {9}, {3}}));
  for (int i = 2; i <= 5; ++i)
    write_bytes(folder / fmt::format("data_batch_{}.bin", i),
                records({{static_cast<std::uint8_t>(i)}}));
  write_bytes(folder / "test_batch.bin", records({{1}, {2}}));
}

void write_cifar100(const std::filesystem::path& folder) {
  write_bytes(folder / "train.bin", records({{19, 0}, {0, 99}}));
  write_bytes(folder / "test.bin", records({{3, 42}}));
}

TEST(Cifar10, ReadsRecordsOfAnyCount) {
  TemporaryFolder folder;
  write_cifar10(folder.path());
  const auto data = load_cifar10(folder.path());
  EXPECT_EQ(data.train.name, "cifar10");
  EXPECT_EQ(data.train.pictures.height(), 32);
  EXPECT_EQ(data.train.pictures.width(), 32);
  EXPECT_EQ(data.train.labels, (std::vector<std::int32_t>{0, 9, 3, 2, 3, 4, 5}));
  EXPECT_EQ(data.test.labels, (std::vector<std::int32_t>{1, 2}));
  EXPECT_TRUE(data.notes.empty());
  ASSERT_EQ(data.train.class_names.size(), 10u);
  EXPECT_EQ(data.train.class_names[9], "truck");
  for (std::size_t pixel : {0, 1, 32, 1023}) {
    for (std::size_t channel = 0; channel < 3; ++channel) {
      EXPECT_EQ(data.train.image(2)[pixel * 3 + channel],
                static_cast<std::uint8_t>(100 + channel * 7 + pixel))
          << pixel << ' ' << channel;
    }
  }
}

TEST(Cifar10, ReadsOneFileWhereItsPathIsGiven) {
  TemporaryFolder folder;
  write_cifar10(folder.path());
  std::filesystem::remove(folder / "data_batch_2.bin");
  const auto data = load_cifar10(folder / "data_batch_1.bin");
  EXPECT_EQ(data.train.labels, (std::vector<std::int32_t>{0, 9, 3}));
  EXPECT_EQ(data.test.labels, (std::vector<std::int32_t>{1, 2}));
  ASSERT_EQ(data.notes.size(), 1u);
  EXPECT_NE(data.notes[0].find("data_batch_1.bin alone"), std::string::npos) << data.notes[0];
}

TEST(Cifar10, AcceptsTheParentOfTheOfficialFolder) {
  TemporaryFolder folder;
  write_cifar10(folder / "cifar-10-batches-bin");
  EXPECT_EQ(load_cifar10(folder.path()).train.size(), 7u);
}

TEST(Cifar10, TakesClassNamesFromTheFile) {
  TemporaryFolder folder;
  write_cifar10(folder.path());
  write_lines(folder / "batches.meta.txt", "a\r\nb\r\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
  const auto names = load_cifar10(folder.path()).train.class_names;
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}));
}

TEST(Cifar10, RefusesAWrongNumberOfClassNames) {
  TemporaryFolder folder;
  write_cifar10(folder.path());
  write_lines(folder / "batches.meta.txt", "a\nb\n");
  expect_error(ErrorCode::BadData, {"batches.meta.txt", "2 class names", "10 are needed"},
               [&] { load_cifar10(folder.path()); });
}

// Names become folders of `data --export`.
TEST(Cifar10, RefusesClassNamesThatLeadElsewhere) {
  TemporaryFolder folder;
  write_cifar10(folder.path());
  const std::string long_name(101, 'x');
  for (const std::string name : {"../../up", "/absolute", "..", ".", "a/b", "a\\b", "a\x1b[31mred",
                                 "caf\xe9", "\xe2\x80\xaetxt", long_name.c_str()}) {
    write_lines(folder / "batches.meta.txt", "a\nb\n\n" + name + "\nd\ne\nf\ng\nh\ni\nj\n");
    expect_error(ErrorCode::BadData, {"batches.meta.txt, line 4", "cannot name a class"},
                 [&] { load_cifar10(folder.path()); });
  }
  expect_error(ErrorCode::BadData, {"\"a\\x1B[31mred\""},
               [&] { check_class_name("a\x1b[31mred", "x"); });
  EXPECT_NO_THROW(check_class_name("übergroße Katze (2)", "x"));
}

TEST(Cifar10, RefusesAMissingFolder) {
  TemporaryFolder folder;
  expect_error(ErrorCode::NotFound, {"no such folder", "absent"},
               [&] { load_cifar10(folder / "absent"); });
}

TEST(Cifar10, RefusesAMissingFile) {
  for (const std::string file :
       {"data_batch_1.bin", "data_batch_3.bin", "data_batch_5.bin", "test_batch.bin"}) {
    TemporaryFolder folder;
    write_cifar10(folder.path());
    std::filesystem::remove(folder / file);
    expect_error(ErrorCode::NotFound, {file}, [&] { load_cifar10(folder.path()); });
  }
}

TEST(Cifar100, SaysWhichTwoFilesItNeeds) {
  TemporaryFolder folder;
  expect_error(ErrorCode::NotFound,
               {"train.bin; cifar100 needs train.bin and test.bin", "its cifar-100-binary"},
               [&] { load_cifar100(folder.path()); });
}

TEST(Cifar10, RefusesATruncatedFile) {
  TemporaryFolder folder;
  write_cifar10(folder.path());
  auto bytes = records({{0}, {1}});
  bytes.pop_back();
  write_bytes(folder / "data_batch_3.bin", bytes);
  expect_error(ErrorCode::BadData, {"data_batch_3.bin", "6145 bytes", "3073", "truncated"},
               [&] { load_cifar10(folder.path()); });
}

TEST(Cifar10, RefusesAnEmptyFile) {
  TemporaryFolder folder;
  write_cifar10(folder.path());
  write_bytes(folder / "test_batch.bin", {});
  expect_error(ErrorCode::BadData, {"test_batch.bin", "0 bytes", "one or more records"},
               [&] { load_cifar10(folder.path()); });
}

TEST(Cifar10, RefusesRecordsOfAnotherSize) {
  TemporaryFolder folder;
  write_cifar10(folder.path());
  write_bytes(folder / "data_batch_1.bin", records({{0, 1}, {1, 1}}));
  expect_error(ErrorCode::BadData, {"data_batch_1.bin", "6148 bytes", "3073", "another format"},
               [&] { load_cifar10(folder.path()); });
}

TEST(Cifar10, RefusesALabelOutOfRange) {
  TemporaryFolder folder;
  write_cifar10(folder.path());
  write_bytes(folder / "test_batch.bin", records({{0}, {10}}));
  expect_error(ErrorCode::BadData, {"test_batch.bin", "record 1", "label 10", "0 to 9"},
               [&] { load_cifar10(folder.path()); });
}

TEST(Cifar10, RefusesOneClassOnly) {
  TemporaryFolder folder;
  write_cifar10(folder.path());
  write_bytes(folder / "data_batch_1.bin", records({{4}, {4}}));
  expect_error(ErrorCode::BadData, {"only one class", "'deer'"},
               [&] { load_cifar10(folder / "data_batch_1.bin"); });
}

TEST(Cifar100, ReadsFineLabels) {
  TemporaryFolder folder;
  write_cifar100(folder / "cifar-100-binary");
  const auto data = load_cifar100(folder.path());
  EXPECT_EQ(data.train.name, "cifar100");
  EXPECT_EQ(data.train.labels, (std::vector<std::int32_t>{0, 99}));
  EXPECT_EQ(data.test.labels, (std::vector<std::int32_t>{42}));
  ASSERT_EQ(data.train.class_names.size(), 100u);
  EXPECT_EQ(data.train.class_names.front(), "apple");
  EXPECT_EQ(data.train.class_names[42], "leopard");
  EXPECT_EQ(data.train.class_names.back(), "worm");
  EXPECT_TRUE(std::is_sorted(data.train.class_names.begin(), data.train.class_names.end()));
  EXPECT_EQ(data.train.image(1)[3], 51);
}

TEST(Cifar100, KnowsEachPictureByClassAndBySuperclass) {
  TemporaryFolder folder;
  write_cifar100(folder.path());
  const auto fine = load_cifar100(folder.path()), coarse = load_cifar100_coarse(folder.path());
  EXPECT_EQ(coarse.train.name, "cifar100-coarse");
  EXPECT_EQ(coarse.train.labels, (std::vector<std::int32_t>{19, 0}));
  ASSERT_EQ(coarse.train.class_names.size(), 20u);
  EXPECT_EQ(coarse.train.class_names[19], "vehicles_2");
  ASSERT_TRUE(fine.train.other && coarse.train.other);
  EXPECT_EQ(fine.train.other->labels, coarse.train.labels);
  EXPECT_EQ(fine.train.other->class_names, coarse.train.class_names);
  EXPECT_EQ(coarse.test.other->labels, fine.test.labels);
  EXPECT_NE(fine.hash(), coarse.hash());
}

TEST(Cifar100, RefusesCoarseAndFineLabelsOutOfRange) {
  TemporaryFolder folder;
  write_cifar100(folder.path());
  write_bytes(folder / "train.bin", records({{0, 0}, {20, 1}}));
  expect_error(ErrorCode::BadData, {"train.bin", "record 1", "label 20", "0 to 19"},
               [&] { load_cifar100(folder.path()); });
  write_bytes(folder / "train.bin", records({{0, 100}}));
  expect_error(ErrorCode::BadData, {"train.bin", "record 0", "label 100", "0 to 99"},
               [&] { load_cifar100(folder.path()); });
}

TEST(Cifar100, RefusesCifar10Files) {
  TemporaryFolder folder;
  write_cifar100(folder.path());
  write_bytes(folder / "train.bin", records({{0}, {1}}));
  expect_error(ErrorCode::BadData, {"train.bin", "3074"}, [&] { load_cifar100(folder.path()); });
}

}  // namespace
}  // namespace veilnet::data
