// One self-contained light HTML page: no scripts, nothing fetched from outside (its content
// security policy says so too), readable on a phone and on paper. The markup is well-formed XML as
// well.
//
// Plain strings are text and are escaped; finished markup has its own type, so the two cannot be
// mixed up.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "image/image.h"
#include "report/text.h"

namespace veilnet::eval {

using namespace report;

/// A well-formed piece of HTML.
struct Markup {
  std::string html;
};
Markup operator+(Markup left, const Markup& right);

Markup text(std::string_view words);
Markup strong(std::string_view words);
Markup code(std::string_view words);

/// @throws Error{InvalidArgument} unless level is 2, 3 or 4.
Markup heading(int level, std::string_view words);
Markup paragraph(std::string_view words);
Markup paragraph(const Markup& inline_markup);
Markup bullets(const std::vector<std::string>& items);
/// Commands and the like, kept as they are and scrolled when too wide.
Markup preformatted(std::string_view words);
/// A fold with a line that is always shown.
Markup details(std::string_view summary, const Markup& content, bool open = false);
/// A box that stands out, for the one thing a reader must not miss.
Markup callout(const Markup& content);

/// A headline figure.
struct Card {
  std::string label, value, note;
};
Markup cards(const std::vector<Card>& cards);

struct Column {
  std::string header;
  bool numeric = false;      ///< aligned right, digits of equal width
  bool highlighted = false;  ///< tinted
  bool whole_words = false;  ///< narrow: breaks at every space, but only there
};

struct Table {
  std::string caption;
  std::vector<std::pair<std::string, std::size_t>>
      column_groups;  ///< optional upper header row: label and how many columns it spans
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  ///< the first cell of a row is its header
};
/// @throws Error{InvalidArgument} if a row or the column groups do not match the columns.
Markup table(const Table& table);

/// Charts side by side where the page is wide enough, with one caption.
Markup figure(const std::vector<std::string>& svgs, std::string_view caption);

/// "data:image/png;base64,..." @throws Error{InvalidArgument} for an empty picture.
std::string png_data_uri(const image::Image& picture);

struct PictureCell {
  std::optional<image::Image> picture;  ///< nothing: a dash
  std::string caption;                  ///< under the picture, e.g. "14.2 dB"
};

struct PictureGrid {
  std::string caption;
  std::vector<std::string> column_headers;  ///< empty, or one per column
  std::vector<std::string> row_headers;     ///< empty, or one per row
  std::vector<std::vector<PictureCell>> rows;
  int shown_width = 96;  ///< CSS pixels; small pictures are enlarged without smoothing
};
/// @throws Error{InvalidArgument} if rows or headers do not match, or a picture is empty.
Markup picture_grid(const PictureGrid& grid);

/// Standard base64 with padding.
std::string base64(std::string_view bytes);

/// The whole page.
class Page {
 public:
  Page(std::string title, std::string subtitle)
      : title_(std::move(title)), subtitle_(std::move(subtitle)) {}
  /// A level-2 heading that the list of contents points to.
  void section(std::string_view words);
  void add(const Markup& content) { body_ += content.html; }
  /// Lines at the foot: where every figure comes from.
  void footer(const Markup& content) { footer_ += content.html; }
  std::string str() const;

 private:
  std::string title_, subtitle_, contents_, body_, footer_;
  std::size_t sections_ = 0;
};

}  // namespace veilnet::eval
