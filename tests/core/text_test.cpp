#include "core/text.h"

#include <gtest/gtest.h>

namespace veilnet {
namespace {

TEST(Utf8, KnowsWhatIsUtf8) {
  for (const std::string text : {"", "a", "\x7f", "ü", "\u0080", "\u07ff", "\u0800", "\ud7ff",
                                 "\ue000", "\uffff", "\U00010000", "\U0010ffff", "a𝄞b"})
    EXPECT_EQ(utf8_prefix(text), text.size()) << text;
}

TEST(Utf8, StopsAtTheFirstByteThatIsNone) {
  for (const std::string bad :
       {"\x80", "\xbf", "\xc3", "\xc3(", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
        "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe", "\xff",
        "\xe2\x82", "\xf0\x9d\x84"}) {
    EXPECT_EQ(utf8_prefix(bad), 0u) << testing::PrintToString(bad);
    EXPECT_EQ(utf8_prefix("aü" + bad + "b"), 3u) << testing::PrintToString(bad);
  }
}

TEST(Printable, LeavesWhatPeopleRead) {
  for (const std::string text : {"", "a b/c.png", "Grüße", "写真", "\\x1B is spelled out"})
    EXPECT_EQ(printable(text), text);
}

TEST(Printable, ShowsWhatWouldSteerATerminal) {
  EXPECT_EQ(printable("a\x1b[31mred\x07\r\n\tb\x7f"), "a\\x1B[31mred\\x07\\r\\n\\tb\\x7F");
  EXPECT_EQ(printable(std::string_view("\0x", 2)), "\\x00x");
  EXPECT_EQ(printable("\u009b31m"), "\\x9B31m") << "C1 has an escape of its own";
  EXPECT_EQ(printable("gnp.\u202eexe\u200b\u2028\ufeff\U000e0041"),
            "gnp.\\u{202E}exe\\u{200B}\\u{2028}\\u{FEFF}\\u{E0041}");
  EXPECT_EQ(printable("caf\xe9.png"), "caf\\xE9.png");
}

TEST(Printable, CutsBetweenCharacters) {
  EXPECT_EQ(printable("0123456789", 10), "0123456789");
  EXPECT_EQ(printable("0123456789a", 10), "0123456...");
  EXPECT_EQ(printable("üüüüüü", 10), "üüü...");
  EXPECT_EQ(printable("12345\x1b\x1b", 10), "12345...") << "an escape is not cut in two";
  const std::string long_text(10'000'000, '\x1b');
  EXPECT_LE(printable(long_text).size(), 160u);
}

TEST(Printable, ChangesNothingTheSecondTime) {
  for (const auto& text : {std::string("a\x1b\xff\u202e"), std::string(1000, '\n')})
    EXPECT_EQ(printable(printable(text)), printable(text));
}

TEST(AsUtf8, KeepsTextAndShowsOtherBytes) {
  EXPECT_EQ(as_utf8("写真\n.png"), "写真\n.png");
  EXPECT_EQ(as_utf8("caf\xe9.png"), "caf\\xE9.png");
  EXPECT_EQ(as_utf8("\xff\xfe"), "\\xFF\\xFE");
}

TEST(Closest, FindsWhatWasMeant) {
  const std::vector<std::string> keys{"transform.alpha", "curve.alphas", "transform.epochs",
                                      "runs"};
  EXPECT_EQ(closest("alpha", keys), "transform.alpha");
  EXPECT_EQ(closest("epochs", keys), "transform.epochs");
  EXPECT_EQ(closest("transform.ephocs", keys), "transform.epochs");
  EXPECT_EQ(closest("run", keys), "runs");
  EXPECT_EQ(closest("something.else", keys), "");
  EXPECT_EQ(closest("a", {}), "");
}

}  // namespace
}  // namespace veilnet
