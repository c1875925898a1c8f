#include "service/access.h"

#include <sys/stat.h>

#include "support.h"

namespace veilnet::service {
namespace {

using namespace std::chrono_literals;
using test::expect_error;

TEST(Access, KnowsItsKeysAndNoOthers) {
  const test::TemporaryFolder folder;
  const auto file = folder / "keys";
  const auto alice = add_api_key(file, "alice"), bob = add_api_key(file, "bob-2");
  EXPECT_NE(alice, bob);
  EXPECT_TRUE(alice.starts_with("alice."));
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const auto text = read_text(file);
  EXPECT_EQ(text.find(alice), text.npos);
  EXPECT_NE(text.find("$argon2id$"), text.npos);

  KeyRing ring(file, 0);
  std::string owner;
  for (int i = 0; i < 2; ++i) {  // the second time from memory
    EXPECT_EQ(ring.check(alice, owner), Access::Granted);
    EXPECT_EQ(owner, "alice");
    EXPECT_EQ(ring.check(bob, owner), Access::Granted);
    EXPECT_EQ(owner, "bob-2");
  }
  for (const auto& wrong : {std::string(), std::string("alice"), std::string("eve.x"),
                            "eve" + alice.substr(5), std::string(500, 'a')})
    EXPECT_EQ(ring.check(wrong, owner), Access::Unknown) << wrong;
  EXPECT_EQ(ring.check(alice.substr(0, alice.size() - 1), owner), Access::Unknown);
  EXPECT_EQ(owner, "");
  expect_error(ErrorCode::AlreadyExists, {"alice"}, [&] { add_api_key(file, "alice"); });
  for (const std::string name : {"", "A", "a b", "a.b", "../a"})
    expect_error(ErrorCode::InvalidArgument, {"owner"}, [&] { add_api_key(file, name); });
}

TEST(Access, LimitsRequestsAndGuesses) {
  TokenBucket bucket(10, 2);
  auto now = Clock::now();
  EXPECT_TRUE(bucket.take(now));
  EXPECT_TRUE(bucket.take(now));
  EXPECT_FALSE(bucket.take(now));
  EXPECT_FALSE(bucket.take(now + 90ms));
  EXPECT_TRUE(bucket.take(now + 210ms));
  EXPECT_TRUE(bucket.take(now + 1h));
  EXPECT_TRUE(bucket.take(now + 1h));
  EXPECT_FALSE(bucket.take(now + 1h));

  const test::TemporaryFolder folder;
  const auto key = add_api_key(folder / "keys", "a");
  KeyRing ring(folder / "keys", 2);
  std::string owner;
  int granted = 0;
  for (int i = 0; i < 20; ++i) granted += ring.check(key, owner, now) == Access::Granted;
  EXPECT_EQ(granted, 2);
  Access last = Access::Unknown;
  for (int i = 0; i < 20 && last == Access::Unknown; ++i) last = ring.check("a.wrong", owner, now);
  EXPECT_EQ(last, Access::TooOften);
}

TEST(Access, RefusesAFileThatIsNone) {
  const test::TemporaryFolder folder;
  const auto file = folder / "keys";
  const auto refused = [&](const std::string& text, std::initializer_list<std::string> parts) {
    write_file(file, text, Overwrite::Yes);
    expect_error(ErrorCode::BadData, parts, [&] { KeyRing(file, 0); });
  };
  refused("", {"no key"});
  refused("alice\n", {"keys:1"});
  refused("\nalice secret\n", {"keys:2", "Argon2id"});
  add_api_key(folder / "good", "alice");
  const auto line = read_text(folder / "good");
  refused(line + line, {"keys:2", "second"});
  expect_error(ErrorCode::NotFound, {}, [&] { KeyRing(folder / "nowhere", 0); });
}

}  // namespace
}  // namespace veilnet::service
