// A table for people, on the page and as Markdown: one form, so that both say the same.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace veilnet::report {

struct Column {
  std::string header;
  bool numeric = false;      ///< aligned right, digits of equal width
  bool highlighted = false;  ///< tinted
  bool whole_words = false;  ///< narrow: breaks at every space, but only there
};

struct Table {
  std::string caption;
  /// An upper header row: label and how many columns it spans; empty for none.
  std::vector<std::pair<std::string, std::size_t>> groups;
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  ///< the first cell of a row is its header
};

/// @throws Error{InvalidArgument} if a row or the groups do not match the columns.
void check(const Table& table);

/// As many tables as it takes for each to have at most `most` columns beside the first. Without
/// groups.
std::vector<Table> split(const Table& table, std::size_t most);

/// Without caption; a group's label goes before the headers of its columns.
/// @throws as check.
std::string to_markdown(const Table& table);

/// In a cell of a Markdown table, or a line beside it: bars and backslashes escaped, no line ends.
std::string markdown(const std::string& words);

}  // namespace veilnet::report
