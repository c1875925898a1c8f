#include "cli/completion_table.h"

#include <algorithm>
#include <fmt/format.h>
#include <sstream>

#include <CLI/CLI.hpp>

namespace veilnet::cli {

std::set<Completion> completions(const CLI::App& app, const std::string& path) {
  std::set<Completion> words;
  for (const auto* option : app.get_options())
    for (const auto& name : option->get_lnames())
      words.insert({path, "--" + name,
                    option->get_items_expected_max() > 0 ? option->get_type_name() : "",
                    option->get_description()});
  for (const auto* below : app.get_subcommands([](const CLI::App*) { return true; })) {
    words.insert({path, below->get_name(), "", below->get_description()});
    words.merge(completions(*below, path + " " + below->get_name()));
  }
  return words;
}

std::string to_lines(const std::set<Completion>& words) {
  std::string lines;
  for (const auto& word : words)
    lines += fmt::format("{}\t{}\t{}\t{}\n", word.path, word.word, word.value, word.text);
  return lines;
}

std::set<Completion> from_lines(const std::string& lines) {
  std::set<Completion> words;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) {
    if (std::ranges::count(line, '\t') != 3) continue;
    std::istringstream fields(line);
    Completion word;
    std::getline(fields, word.path, '\t');
    std::getline(fields, word.word, '\t');
    std::getline(fields, word.value, '\t');
    std::getline(fields, word.text);
    words.insert(std::move(word));
  }
  return words;
}

}  // namespace veilnet::cli
