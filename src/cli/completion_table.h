// What a shell can complete, read from the commands themselves.
#pragma once

#include <compare>
#include <set>
#include <string>

namespace CLI {
class App;
}

namespace veilnet::cli {

struct Completion {
  std::string path;   ///< "veilnet train": what stands before the word
  std::string word;   ///< "classifier" or "--config"
  std::string value;  ///< "FILE" for an option that takes one; "" for a flag or a command
  std::string text;   ///< what it does

  auto operator<=>(const Completion&) const = default;
};

/// Every command and option below `app`, with what `veilnet` itself is called first.
std::set<Completion> completions(const CLI::App& app, const std::string& path = "veilnet");

/// One line each, tabs between, as veilnet-lab hands them to veilnet; and back. Lines of another
/// form are left out.
std::string to_lines(const std::set<Completion>& words);
std::set<Completion> from_lines(const std::string& lines);

}  // namespace veilnet::cli
