#include "image/folder.h"

#include <fstream>
#include <sys/stat.h>

#include "support.h"

namespace veilnet::image {
namespace {

namespace fs = std::filesystem;
using veilnet::test::expect_error;
using veilnet::test::TemporaryFolder;

void touch(const fs::path& path) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << "x";
}

/// The pictures below `folder`, relative to it.
std::vector<std::string> names(const fs::path& folder) {
  std::vector<std::string> out;
  for (const auto& path : find_pictures(folder).pictures)
    out.push_back(path.lexically_relative(folder).string());
  return out;
}

TEST(HasPictureExtension, AnyCase) {
  for (const char* name : {"a.png", "b/c.JPG", "x.y.Jpeg", "z.webp"})
    EXPECT_TRUE(has_picture_extension(name)) << name;
  for (const char* name : {"a", ".png", "a.png.txt", "a.gif", "png", "a.jpg~", ""})
    EXPECT_FALSE(has_picture_extension(name)) << name;
}

TEST(FindPictures, WalksFoldersInOrderOfNames) {
  const TemporaryFolder folder;
  for (const char* name :
       {"b/2.JPG", "b/1.png", "a/x/y/z.webp", "c.jpeg", "notes.txt", "a/list.csv"})
    touch(folder / name);
  EXPECT_EQ(names(folder.path()),
            (std::vector<std::string>{"a/x/y/z.webp", "b/1.png", "b/2.JPG", "c.jpeg"}));
  EXPECT_TRUE(find_pictures(folder.path()).left_out.empty());
}

TEST(FindPictures, LeavesHiddenFilesAndFoldersAlone) {
  const TemporaryFolder folder;
  for (const char* name : {"a.png", "._a.png", ".cache/b.png"}) touch(folder / name);
  EXPECT_EQ(names(folder.path()), std::vector<std::string>{"a.png"});
}

TEST(FindPictures, CountsKindsThatAreNotRead) {
  const TemporaryFolder folder;
  for (const char* name :
       {"a.png", "b.bmp", "c.BMP", "d.gif", "e.tif", "f.tiff", "sub/g.heic", "h.avif", "i.txt"})
    touch(folder / name);
  const auto found = find_pictures(folder.path());
  EXPECT_EQ(found.pictures.size(), 1u);
  EXPECT_EQ(found.left_out, (std::map<std::string, std::size_t>{
                                {"AVIF", 1}, {"BMP", 2}, {"GIF", 1}, {"HEIC", 1}, {"TIFF", 2}}));
}

TEST(FindPictures, FollowsLinkedFoldersOnceAndPrefersTheirOwnNames) {
  const TemporaryFolder folder, elsewhere;
  touch(folder / "photos/real/1.png");
  touch(elsewhere / "away/2.png");
  fs::create_symlink("real", folder / "photos/again");  // sorts before its target
  fs::create_symlink(".", folder / "photos/loop");
  fs::create_symlink("..", folder / "photos/real/up");
  fs::create_symlink(elsewhere / "away", folder / "photos/linked");
  fs::create_symlink(elsewhere.path(), folder / "photos/more");
  fs::create_symlink(folder / "photos/real/1.png", folder / "photos/picture.png");
  const auto found = find_pictures(folder / "photos");
  EXPECT_EQ(names(folder / "photos"),
            (std::vector<std::string>{"linked/2.png", "picture.png", "real/1.png"}));
  EXPECT_TRUE(found.unreadable.empty());
}

TEST(FindPictures, SkipsTheFoldersItIsTold) {
  const TemporaryFolder folder;
  for (const char* name : {"a/1.png", "out/2.png", "b/out/3.png"}) touch(folder / name);
  fs::create_symlink("../out", folder / "a/link");
  const auto found = find_pictures(
      folder.path(), [&](const fs::path& path) { return fs::equivalent(path, folder / "out"); });
  ASSERT_EQ(found.pictures.size(), 2u);
  EXPECT_EQ(found.pictures[1], folder / "b/out/3.png");
}

TEST(FindPictures, NamesWhatCannotBeRead) {
  const TemporaryFolder folder;
  touch(folder / "ok.png");
  fs::create_symlink("self.png", folder / "self.png");
  fs::create_symlink("absent", folder / "gone");
  fs::create_directories(folder / "odd.png.d");
  ASSERT_EQ(mkfifo((folder / "pipe.png").c_str(), 0600), 0);
  const auto found = find_pictures(folder.path());
  EXPECT_EQ(found.pictures.size(), 1u);
  std::vector<std::string> lines;
  for (const auto& [path, why] : found.unreadable)
    lines.push_back(path.filename().string() + " " + why);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_TRUE(lines[0].starts_with("gone is a link that leads nowhere: ")) << lines[0];
  EXPECT_EQ(lines[1], "pipe.png is not a regular file");
  EXPECT_TRUE(lines[2].starts_with("self.png is a link that leads nowhere: ")) << lines[2];
}

TEST(FindPictures, RefusesWhatIsNoFolder) {
  const TemporaryFolder folder;
  touch(folder / "a.png");
  for (const char* name : {"absent", "a.png"})
    expect_error(ErrorCode::NotFound, {"no such folder", name},
                 [&] { find_pictures(folder / name); });
}

}  // namespace
}  // namespace veilnet::image
