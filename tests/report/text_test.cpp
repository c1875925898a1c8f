#include "report/text.h"

#include <cmath>
#include <limits>

#include "report/markup.h"
#include "support.h"

namespace veilnet::report {
namespace {

TEST(Text, EscapesMarkup) {
  EXPECT_EQ(escape("a<b> & \"c\" 'd'"), "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
  EXPECT_EQ(escape(""), "");
}

TEST(Text, KeepsUtf8AndReplacesWhatIsNot) {
  const std::string good = "\u03B1 = 0.005, \u20AC, \U0001F600";
  EXPECT_EQ(escape(good), good);
  EXPECT_EQ(escape(std::string("a\0b\x01\x7F", 5)), "a\uFFFDb\uFFFD\uFFFD");
  EXPECT_EQ(escape("\xC0\xAF"), "\uFFFD\uFFFD");            // overlong '/'
  EXPECT_EQ(escape("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // surrogate
  EXPECT_EQ(escape("x\xE2\x82"), "x\uFFFD\uFFFD");          // cut short
  EXPECT_EQ(escape("\xEF\xBF\xBF"), "\uFFFD");              // U+FFFF, no XML character
  EXPECT_EQ(escape("\xFF<"), "\uFFFD&lt;");
}

TEST(Text, FixedDecimals) {
  EXPECT_EQ(fixed(91.715, 1), "91.7");
  EXPECT_EQ(fixed(-0.001, 2), "0.00");
  EXPECT_EQ(fixed(-0.5, 1), "-0.5");
  EXPECT_EQ(fixed(1234567, 0), "1234567");
  EXPECT_EQ(fixed(std::numeric_limits<double>::infinity(), 1), "\u221E");
  EXPECT_EQ(fixed(-std::numeric_limits<double>::infinity(), 1), "-\u221E");
  EXPECT_EQ(fixed(std::nan(""), 1), dash);
}

TEST(Text, ShortestCompactGrouped) {
  EXPECT_EQ(shortest(0.005), "0.005");
  EXPECT_EQ(shortest(-0.0), "0");
  EXPECT_EQ(std::stod(shortest(0.1 + 0.2)), 0.1 + 0.2);
  EXPECT_EQ(compact(0.1 + 0.2), "0.3");
  EXPECT_EQ(compact(2.5), "2.5");
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(10000), "10,000");
  EXPECT_EQ(grouped(1234567), "1,234,567");
}

// The other tests lean on this checker, so it must find faults.
TEST(MarkupChecker, FindsFaults) {
  EXPECT_EQ(test::markup_fault("<!DOCTYPE html>\n<a b=\"c\"><d/>&lt;</a>\n"), "");
  for (const char* bad :
       {"<a>", "<a></b>", "<a></a></a>", "<a><b></a></b>", "<a b=c/>", "<a b></a>", "<a b=\"<\"/>",
        "<a>&nbsp;</a>", "<a>&</a>", "<a>1 < 2</a>", "<a/><b/>", "text", "<a b=\"c/>", "<a"})
    EXPECT_NE(test::markup_fault(bad), "") << bad;
  EXPECT_TRUE(test::reaches_outside("<img src=\"https://a.example/x.png\"/>"));
  EXPECT_TRUE(test::reaches_outside("<script>"));
  EXPECT_FALSE(test::reaches_outside("<svg xmlns=\"http://www.w3.org/2000/svg\"/>"));
}

}  // namespace
}  // namespace veilnet::report
