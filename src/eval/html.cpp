#include "eval/html.h"

#include <algorithm>

#include "core/error.h"

namespace veilnet::eval {

namespace {

constexpr std::string_view style = R"(
:root{color-scheme:light;--ink:#1f2933;--faint:#5b6770;--line:#d9e0e7;--tint:#eaf3fb;--accent:#0b5c94}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:#f4f6f8;color:var(--ink);
font:16px/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",Arial,sans-serif}
main{max-width:1120px;margin:0 auto;padding:32px 40px 40px;background:#fff}
header{border-bottom:3px solid var(--accent);margin-bottom:20px}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 4px}
header p{color:var(--faint);margin:0 0 16px}
h2{font-size:1.35rem;line-height:1.3;margin:44px 0 10px}
h3{font-size:1.1rem;margin:28px 0 8px}
h4{font-size:1rem;margin:20px 0 6px}
p,ul{max-width:76ch;margin:0 0 12px}
ul{padding-left:1.3em}
li{margin-bottom:5px}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:.92rem;margin:0 0 8px}
a{color:var(--accent)}
code,pre{font-family:ui-monospace,"Cascadia Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.88em}
code{background:#eef1f4;border-radius:4px;padding:.1em .35em;overflow-wrap:anywhere}
pre{background:#eef1f4;border-radius:6px;padding:12px 14px;overflow-x:auto;line-height:1.5;margin:0 0 12px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:12px;margin:18px 0}
.card{border:1px solid var(--line);border-radius:8px;padding:12px 16px}
.card b{display:block;font-size:1.45rem;line-height:1.25;font-weight:650;font-variant-numeric:tabular-nums}
.card span{display:block;font-size:.86rem;line-height:1.4;color:var(--faint)}
.card span.label{color:var(--ink);font-weight:600}
.callout{border-left:4px solid #d55e00;background:#fdf4ec;padding:12px 18px;margin:16px 0;border-radius:0 6px 6px 0}
.callout>:last-child{margin-bottom:0}
.scroll{overflow-x:auto;margin:14px 0 20px}
table{border-collapse:collapse;font-size:.92rem;line-height:1.4}
.scroll>table.data{min-width:min(100%,560px)}
.caption{color:var(--faint);font-size:.88rem;line-height:1.45;max-width:96ch;margin:16px 0 0}
.caption+.scroll{margin-top:6px}
.data th,.data td{padding:7px 10px;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
.data thead th{border-bottom:2px solid #9aa7b3;vertical-align:bottom;font-weight:600}
.data thead tr.groups th{border-bottom:1px solid var(--line);color:var(--faint);padding-bottom:3px;text-align:center}
.data tbody th{font-weight:600;white-space:nowrap}
.data th:first-child{position:sticky;left:0;background:#fff}
.data td{overflow-wrap:anywhere}
.data .num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.data thead .num{white-space:normal}
.data .words{overflow-wrap:normal;padding-left:5px;padding-right:5px}
.data .hi{background:var(--tint)}
.pictures th{font-weight:600;padding:4px 6px;font-size:.88rem}
.pictures tbody th{text-align:right;vertical-align:middle;min-width:5.5em;max-width:9em;position:sticky;left:0;background:#fff}
.pictures td{padding:4px 5px;text-align:center;vertical-align:top;
font-size:.82rem;color:var(--faint);font-variant-numeric:tabular-nums}
.pictures img{display:block;margin:0 auto 3px;border:1px solid var(--line)}
.pictures img.px{image-rendering:pixelated}
figure{margin:16px 0 22px}
.charts{display:flex;flex-wrap:wrap;gap:14px}
.charts>div{flex:0 1 auto;max-width:100%;overflow-x:auto}
.charts svg{display:block}
figcaption{color:var(--faint);font-size:.88rem;max-width:96ch;margin-top:6px}
details{border:1px solid var(--line);border-radius:8px;padding:0 16px;margin:12px 0}
details[open]{padding-bottom:8px}
summary{cursor:pointer;font-weight:600;padding:10px 0}
footer{margin-top:44px;border-top:1px solid var(--line);padding-top:14px;font-size:.86rem;color:var(--faint)}
footer table{font-size:1em}
@media (max-width:700px){main{padding:20px 16px 28px}h1{font-size:1.5rem}.data th,.data td{padding:6px 8px}}
@media print{body{background:#fff;font-size:11pt}main{max-width:none;padding:0}nav{display:none}
.scroll,.charts,.charts>div{overflow:visible}figure,.card,.callout,tr{break-inside:avoid}h2,h3{break-after:avoid}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
)";

Markup element(std::string_view tag, const std::string& inner) {
  return {"<" + std::string(tag) + ">" + inner + "</" + std::string(tag) + ">"};
}

std::string classes(const Column& column) {
  std::string names;
  for (const auto& [set, name] : {std::pair(column.numeric, "num"),
                                  {column.highlighted, "hi"},
                                  {column.whole_words, "words"}}) {
    if (set) names += (names.empty() ? "" : " ") + std::string(name);
  }
  return names.empty() ? "" : " class=\"" + names + "\"";
}

void expect_count(const std::string& what, std::size_t found, std::size_t expected) {
  if (found != expected)
    throw Error(ErrorCode::InvalidArgument, what + ": found " + std::to_string(found) +
                                                ", expected " + std::to_string(expected));
}

/// The caption stands outside the part that scrolls, so that a narrow screen shows all of it.
std::string open_table(const std::string& kind, const std::string& caption) {
  const std::string label = escape(caption);
  return (caption.empty() ? "" : "<p class=\"caption\">" + label + "</p>\n") +
         "<div class=\"scroll\"><table class=\"" + kind + "\"" +
         (caption.empty() ? "" : " aria-label=\"" + label + "\"") + ">";
}

std::string picture_markup(const image::Image& picture, int shown_width,
                           const std::string& description) {
  const bool enlarged = picture.width <= shown_width;
  const int shown_height = std::max(
      1, static_cast<int>(static_cast<double>(shown_width) * picture.height / picture.width + 0.5));
  return std::string("<img") + (enlarged ? " class=\"px\"" : "") + " width=\"" +
         std::to_string(shown_width) + "\" height=\"" + std::to_string(shown_height) + "\" alt=\"" +
         escape(description) + "\" src=\"" + png_data_uri(picture) + "\"/>";
}

}  // namespace

Markup operator+(Markup left, const Markup& right) {
  left.html += right.html;
  return left;
}

Markup text(std::string_view words) { return {escape(words)}; }
Markup strong(std::string_view words) { return element("strong", escape(words)); }
Markup code(std::string_view words) { return element("code", escape(words)); }

Markup heading(int level, std::string_view words) {
  if (level < 2 || level > 4)
    throw Error(ErrorCode::InvalidArgument, "heading '" + std::string(words) + "': level is " +
                                                std::to_string(level) + ", allowed are 2 to 4");
  return element("h" + std::to_string(level), escape(words)) + Markup{"\n"};
}

Markup paragraph(std::string_view words) { return paragraph(text(words)); }
Markup paragraph(const Markup& inline_markup) {
  return element("p", inline_markup.html) + Markup{"\n"};
}

Markup bullets(const std::vector<std::string>& items) {
  std::string inner;
  for (const auto& item : items) inner += element("li", escape(item)).html + "\n";
  return items.empty() ? Markup{} : element("ul", inner) + Markup{"\n"};
}

Markup preformatted(std::string_view words) { return element("pre", escape(words)) + Markup{"\n"}; }

Markup details(std::string_view summary, const Markup& content, bool open) {
  return {std::string(open ? "<details open=\"\">" : "<details>") +
          element("summary", escape(summary)).html + "\n" + content.html + "</details>\n"};
}

Markup callout(const Markup& content) {
  return {"<div class=\"callout\">" + content.html + "</div>\n"};
}

Markup cards(const std::vector<Card>& all) {
  std::string inner;
  for (const auto& card : all) {
    inner += "<div class=\"card\"><span class=\"label\">" + escape(card.label) + "</span>" +
             element("b", escape(card.value)).html + element("span", escape(card.note)).html +
             "</div>\n";
  }
  return {"<div class=\"cards\">" + inner + "</div>\n"};
}

Markup table(const Table& table) {
  std::string html = open_table("data", table.caption);
  html += "<thead>";
  if (!table.column_groups.empty()) {
    std::size_t spanned = 0;
    html += "<tr class=\"groups\">";
    for (const auto& [label, span] : table.column_groups) {
      html += "<th scope=\"colgroup\" colspan=\"" + std::to_string(span) + "\">" + escape(label) +
              "</th>";
      spanned += span;
    }
    expect_count("table '" + table.caption + "', columns under its groups", spanned,
                 table.columns.size());
    html += "</tr>";
  }
  html += "<tr>";
  for (const auto& column : table.columns)
    html += "<th scope=\"col\"" + classes(column) + ">" + escape(column.header) + "</th>";
  html += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    expect_count("table '" + table.caption + "', cells of a row", row.size(), table.columns.size());
    html += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string tag = i == 0 ? "th" : "td";
      html += "<" + tag + (i == 0 ? " scope=\"row\"" : "") + classes(table.columns[i]) + ">" +
              escape(row[i]) + "</" + tag + ">";
    }
    html += "</tr>\n";
  }
  return {html + "</tbody></table></div>\n"};
}

Markup figure(const std::vector<std::string>& svgs, std::string_view caption) {
  std::string html = "<figure><div class=\"charts\">";
  for (const auto& svg : svgs) html += "<div>" + svg + "</div>";
  return {html + "</div>" + element("figcaption", escape(caption)).html + "</figure>\n"};
}

std::string base64(std::string_view bytes) {
  static constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto at = [&](std::size_t k) {
      return i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u;
    };
    const unsigned word = at(0) << 16 | at(1) << 8 | at(2);
    for (std::size_t k = 0; k < 4; ++k)
      out += i + k <= bytes.size() ? digits[word >> (18 - 6 * k) & 63u] : '=';
  }
  return out;
}

std::string png_data_uri(const image::Image& picture) {
  const auto png = image::encode_png(picture);
  return "data:image/png;base64," + base64({reinterpret_cast<const char*>(png.data()), png.size()});
}

Markup picture_grid(const PictureGrid& grid) {
  const std::string name = "picture_grid '" + grid.caption + "'";
  if (grid.rows.empty()) throw Error(ErrorCode::InvalidArgument, name + ": no rows");
  const std::size_t columns = grid.rows.front().size();
  if (!grid.column_headers.empty())
    expect_count(name + ", column headers", grid.column_headers.size(), columns);
  if (!grid.row_headers.empty())
    expect_count(name + ", row headers", grid.row_headers.size(), grid.rows.size());

  std::string html = open_table("pictures", grid.caption);
  if (!grid.column_headers.empty()) {
    html += "<thead><tr>";
    if (!grid.row_headers.empty()) html += "<td></td>";
    for (const auto& header : grid.column_headers)
      html += "<th scope=\"col\">" + escape(header) + "</th>";
    html += "</tr></thead>\n";
  }
  html += "<tbody>\n";
  for (std::size_t r = 0; r < grid.rows.size(); ++r) {
    expect_count(name + ", cells of row " + std::to_string(r), grid.rows[r].size(), columns);
    html += "<tr>";
    if (!grid.row_headers.empty())
      html += "<th scope=\"row\">" + escape(grid.row_headers[r]) + "</th>";
    for (std::size_t c = 0; c < columns; ++c) {
      const auto& cell = grid.rows[r][c];
      std::string description;
      for (const auto& part :
           {grid.row_headers.empty() ? "" : grid.row_headers[r],
            grid.column_headers.empty() ? "" : grid.column_headers[c], cell.caption})
        if (!part.empty()) description += (description.empty() ? "" : ", ") + part;
      html += "<td>" +
              (cell.picture ? picture_markup(*cell.picture, grid.shown_width, description)
                            : std::string(dash)) +
              escape(cell.caption) + "</td>";
    }
    html += "</tr>\n";
  }
  return {html + "</tbody></table></div>\n"};
}

void Page::section(std::string_view words) {
  const std::string id = "section-" + std::to_string(++sections_);
  contents_ += "<a href=\"#" + id + "\">" + escape(words) + "</a>\n";
  body_ += "<h2 id=\"" + id + "\">" + escape(words) + "</h2>\n";
}

std::string Page::str() const {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src "
         "data:; style-src "
         "'unsafe-inline'\"/>\n"
         "<title>" +
         escape(title_) + "</title>\n<style>" + std::string(style) +
         "</style>\n</head>\n<body>\n<main>\n<header><h1>" + escape(title_) + "</h1>" +
         (subtitle_.empty() ? "" : element("p", escape(subtitle_)).html) + "</header>\n" +
         (contents_.empty() ? "" : "<nav aria-label=\"Contents\">\n" + contents_ + "</nav>\n") +
         body_ + (footer_.empty() ? "" : "<footer>\n" + footer_ + "</footer>\n") +
         "</main>\n</body>\n</html>\n";
}

}  // namespace veilnet::eval
