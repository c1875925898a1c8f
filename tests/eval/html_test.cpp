#include "eval/html.h"

#include "report/markup.h"
#include "support.h"

namespace veilnet::eval {

using namespace veilnet::report;
namespace {

using test::contains;
using test::markup_fault;
using test::occurrences;

image::Image checkered(int height, int width) {
  image::Image picture{height, width, {}};
  for (int i = 0; i < height * width * 3; ++i)
    picture.rgb.push_back(static_cast<std::uint8_t>(i * 37));
  return picture;
}

std::vector<std::uint8_t> decode_base64(const std::string& text) {
  static const std::string digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::uint8_t> out;
  unsigned word = 0;
  int bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    word = word << 6 | static_cast<unsigned>(digits.find(c));
    bits += 6;
    if (bits >= 8) out.push_back(static_cast<std::uint8_t>(word >> (bits -= 8)));
  }
  return out;
}

// RFC 4648, section 10.
TEST(Base64, Rfc4648) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foob"), "Zm9vYg==");
  EXPECT_EQ(base64("fooba"), "Zm9vYmE=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xFF\xFE\xFD"), "//79");
}

TEST(Html, TextIsEscapedEverywhere) {
  const std::string evil = "<i>\"&'";
  for (const auto& markup :
       {text(evil), strong(evil), code(evil), heading(2, evil), paragraph(evil), bullets({evil}),
        preformatted(evil), details(evil, text(evil)), callout(text(evil)),
        cards({{evil, evil, evil}}), figure({}, evil),
        table({evil, {{evil, 1}}, {{evil}}, {{evil}}})}) {
    EXPECT_FALSE(contains(markup.html, "<i>")) << markup.html;
    EXPECT_TRUE(contains(markup.html, "&lt;i&gt;&quot;&amp;&#39;")) << markup.html;
    EXPECT_EQ(markup_fault("<x>" + markup.html + "</x>"), "");
  }
}

TEST(Html, HeadingLevels) {
  EXPECT_EQ(heading(3, "a").html, "<h3>a</h3>\n");
  for (const int level : {0, 1, 5})
    test::expect_error(ErrorCode::InvalidArgument, {"'a'", std::to_string(level), "2 to 4"},
                       [&] { heading(level, "a"); });
}

TEST(Html, TableAlignsAndHighlights) {
  const auto html = table({"Accuracy",
                           {{"", 1}, {"ours", 2}},
                           {{"Model"}, {"Plain", true}, {"Protected", true, true}},
                           {{"a", "1", "2"}, {"b", "3", "4"}}})
                        .html;
  EXPECT_EQ(markup_fault("<x>" + html + "</x>"), "");
  EXPECT_TRUE(contains(
      html, "<th scope=\"row\">a</th><td class=\"num\">1</td><td class=\"num hi\">2</td>"));
  EXPECT_TRUE(contains(html, "<th scope=\"colgroup\" colspan=\"2\">ours</th>"));
  EXPECT_EQ(occurrences(html, "<tr"), 4u);
}

TEST(Html, TableRefusesWrongCounts) {
  test::expect_error(ErrorCode::InvalidArgument, {"'t'", "found 1", "expected 2"}, [] {
    table({"t", {}, {{"a"}, {"b"}}, {{"1"}}});
  });
  test::expect_error(ErrorCode::InvalidArgument, {"'t'", "found 3", "expected 2"}, [] {
    table({"t", {{"g", 3}}, {{"a"}, {"b"}}, {}});
  });
}

TEST(Html, DetailsFold) {
  EXPECT_TRUE(contains(details("s", text("c")).html, "<details><summary>s</summary>"));
  EXPECT_TRUE(contains(details("s", text("c"), true).html, "<details open=\"\">"));
}

TEST(Html, PicturesSurviveTheTripIntoThePage) {
  const auto picture = checkered(5, 7);
  const auto uri = png_data_uri(picture);
  const std::string prefix = "data:image/png;base64,";
  ASSERT_TRUE(uri.starts_with(prefix));
  const auto back = image::decode(decode_base64(uri.substr(prefix.size())), "page");
  EXPECT_EQ(back.height, 5);
  EXPECT_EQ(back.width, 7);
  EXPECT_EQ(back.rgb, picture.rgb);
  test::expect_error(ErrorCode::InvalidArgument, {}, [] { png_data_uri({}); });
}

TEST(Html, PictureGridHeadersCaptionsAndGaps) {
  PictureGrid grid;
  grid.caption = "Fig. 3";
  grid.column_headers = {"plain", "alpha = 0"};
  grid.row_headers = {"cat", "dog"};
  grid.rows = {{{checkered(4, 8), ""}, {checkered(4, 8), "12.3 dB"}},
               {{checkered(4, 8), ""}, {std::nullopt, "lost"}}};
  const auto html = picture_grid(grid).html;
  EXPECT_EQ(markup_fault("<x>" + html + "</x>"), "");
  EXPECT_EQ(occurrences(html, "<img "), 3u);
  EXPECT_EQ(occurrences(html, "class=\"px\""), 3u);
  EXPECT_TRUE(contains(html, "width=\"96\" height=\"48\" alt=\"cat, alpha = 0, 12.3 dB\""));
  EXPECT_TRUE(contains(html, "<th scope=\"col\">alpha = 0</th>"));
  EXPECT_TRUE(contains(html, "<th scope=\"row\">dog</th>"));
  EXPECT_TRUE(contains(html, "/>12.3 dB</td>"));
  EXPECT_TRUE(contains(html, std::string("<td>") + std::string(dash) + "lost</td>"));
}

TEST(Html, LargePicturesAreShrunkSmoothly) {
  PictureGrid grid;
  grid.rows = {{{checkered(4, 200), ""}}};
  EXPECT_FALSE(contains(picture_grid(grid).html, "class=\"px\""));
}

TEST(Html, PictureGridRefusesWrongCounts) {
  PictureGrid grid;
  grid.caption = "g";
  test::expect_error(ErrorCode::InvalidArgument, {"'g'", "no rows"}, [&] { picture_grid(grid); });
  grid.rows = {{{checkered(2, 2), ""}, {checkered(2, 2), ""}}, {{checkered(2, 2), ""}}};
  test::expect_error(ErrorCode::InvalidArgument, {"'g'", "row 1", "found 1", "expected 2"},
                     [&] { picture_grid(grid); });
  grid.rows.pop_back();
  grid.column_headers = {"one"};
  test::expect_error(ErrorCode::InvalidArgument, {"'g'", "column headers", "expected 2"},
                     [&] { picture_grid(grid); });
  grid.column_headers.clear();
  grid.row_headers = {"a", "b"};
  test::expect_error(ErrorCode::InvalidArgument, {"'g'", "row headers", "expected 1"},
                     [&] { picture_grid(grid); });
  grid.row_headers.clear();
  grid.rows[0][0].picture = image::Image{};
  test::expect_error(ErrorCode::InvalidArgument, {}, [&] { picture_grid(grid); });
}

TEST(Html, PageIsSelfContainedAndWellFormed) {
  Page page("A <title>", "sub & title");
  page.section("First & last");
  page.add(paragraph("text"));
  page.section("Second");
  page.footer(text("seed 1"));
  const auto html = page.str();
  EXPECT_EQ(markup_fault(html), "");
  EXPECT_FALSE(test::reaches_outside(html));
  EXPECT_TRUE(contains(html, "<title>A &lt;title&gt;</title>"));
  EXPECT_TRUE(contains(html, "<a href=\"#section-2\">Second</a>"));
  EXPECT_TRUE(contains(html, "<h2 id=\"section-1\">First &amp; last</h2>"));
  EXPECT_TRUE(contains(html, "default-src 'none'"));
  EXPECT_TRUE(contains(html, "image-rendering:pixelated"));
  EXPECT_TRUE(contains(html, "@media print"));
  EXPECT_LT(html.find("seed 1"), html.find("</footer>"));
}

}  // namespace
}  // namespace veilnet::eval
