#include "report/table.h"

#include <algorithm>

#include "core/error.h"

namespace veilnet::report {
namespace {

void expect_count(const Table& t, const char* what, std::size_t found) {
  if (found != t.columns.size())
    fail(ErrorCode::InvalidArgument, "table '{}': {} {}, expected {}", t.caption, found, what,
         t.columns.size());
}

}  // namespace

void check(const Table& t) {
  std::size_t spanned = 0;
  for (const auto& group : t.groups) spanned += group.second;
  if (!t.groups.empty()) expect_count(t, "columns under its groups", spanned);
  for (const auto& row : t.rows) expect_count(t, "cells in a row", row.size());
}

std::vector<Table> split(const Table& t, std::size_t most) {
  check(t);
  std::vector<Table> out;
  for (std::size_t first = 1; first < t.columns.size(); first += most) {
    const auto part = [&](const auto& all) {
      auto some = all;
      some.assign(all.begin(), all.begin() + 1);
      some.insert(some.end(), all.begin() + static_cast<std::ptrdiff_t>(first),
                  all.begin() + static_cast<std::ptrdiff_t>(std::min(first + most, all.size())));
      return some;
    };
    Table& table = out.emplace_back(Table{t.caption, {}, part(t.columns), {}});
    for (const auto& row : t.rows) table.rows.push_back(part(row));
  }
  return out;
}

std::string markdown(const std::string& words) {
  std::string out;
  for (const char c : words) {
    if (c == '|' || c == '\\') out += '\\';
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out;
}

std::string to_markdown(const Table& t) {
  check(t);
  std::string header = "|", line = "|", body;
  std::size_t group = 0, left = t.groups.empty() ? 0 : t.groups[0].second;
  for (const auto& column : t.columns) {
    std::string label;
    if (!t.groups.empty()) {
      while (left == 0) left = t.groups[++group].second;
      --left;
      label = t.groups[group].first;
    }
    const auto space = label.empty() || column.header.empty() ? "" : " ";
    header += " " + markdown(label + space + column.header) + " |";
    line += column.numeric ? "---:|" : "---|";
  }
  for (const auto& row : t.rows) {
    body += "|";
    for (const auto& cell : row) body += " " + markdown(cell) + " |";
    body += "\n";
  }
  return header + "\n" + line + "\n" + body;
}

}  // namespace veilnet::report
