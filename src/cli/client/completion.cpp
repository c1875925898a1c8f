// `veilnet completion SHELL`: a script made from the commands of both programs.
#include <array>
#include <cstdio>
#include <fmt/format.h>
#include <map>
#include <memory>

#include <CLI/CLI.hpp>

#include "cli/client/lab_program.h"
#include "cli/command.h"
#include "cli/completion_table.h"

namespace veilnet::cli {
namespace {

/// Text between single quotes, for any of the shells.
std::string quoted(std::string text, const char* quote) {
  for (std::size_t at = 0; (at = text.find('\'', at)) != text.npos;) {
    text.replace(at, 1, quote);
    at += std::string_view(quote).size();
  }
  return "'" + text + "'";
}
std::string quoted(std::string text) { return quoted(std::move(text), "'\\''"); }

/// Words by the path before them.
using Table = std::map<std::string, std::vector<Completion>>;

std::string bash(const Table& table) {
  std::string script = "# bash completion for veilnet\ndeclare -gA _veilnet_words=(\n";
  for (const auto& [path, words] : table) {
    std::string list;
    for (const auto& word : words) list += (list.empty() ? "" : " ") + word.word;
    script += fmt::format("  [{}]={}\n", quoted(path), quoted(list));
  }
  return script + R"sh()
_veilnet() {
  local at=veilnet word cur=${COMP_WORDS[COMP_CWORD]}
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word != -* && -v "_veilnet_words[$at $word]" ]] && at+=" $word"
  done
  # Without a match, readline completes file names.
  COMPREPLY=()
  if [[ $cur == -* || ${_veilnet_words[$at]} != --* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "${_veilnet_words[$at]}" -- "$cur")
  fi
}
complete -o default -F _veilnet veilnet
)sh";
}

std::string zsh(const Table& table) {
  std::string script =
      "#compdef veilnet\n# zsh completion for veilnet\ntypeset -gA _veilnet_words=(\n";
  for (const auto& [path, words] : table) {
    std::string list;
    for (const auto& word : words)
      list += fmt::format("{}{}:{}", list.empty() ? "" : "\n", word.word, word.text);
    script += fmt::format("  {} {}\n", quoted(path), quoted(list));
  }
  return script + R"sh()
_veilnet() {
  local at=veilnet word
  local -a known
  for word in ${words[2,CURRENT-1]}; do
    [[ $word != -* && -n ${_veilnet_words[$at $word]} ]] && at+=" $word"
  done
  known=("${(@f)_veilnet_words[$at]}")
  if [[ ${words[CURRENT]} == -* || ${known[1]} != --* ]]; then
    _describe -o veilnet known
  else
    _files
  fi
}
if [[ $funcstack[1] == _veilnet ]]; then _veilnet "$@"; else compdef _veilnet veilnet; fi
)sh";
}

std::string fish(const Table& table) {
  std::string script = "# fish completion for veilnet\nset -g __veilnet_paths";
  for (const auto& [path, words] : table) script += " " + quoted(path);
  script += R"sh(
function __veilnet_at
  set -l at veilnet
  for word in (commandline -opc)[2..-1]
    contains -- "$at $word" $__veilnet_paths; and set at "$at $word"
  end
  test "$at" = "$argv[1]"
end
)sh";
  for (const auto& [path, words] : table)
    for (const auto& word : words) {
      const bool option = word.word.starts_with("--");
      script += fmt::format("complete -c veilnet -n {} {} {}{} -d {}\n",
                            quoted(fmt::format("__veilnet_at \"{}\"", path)),
                            option ? "-l" : "-f -a", option ? word.word.substr(2) : word.word,
                            word.value.empty() ? "" : " -r", quoted(word.text, "\\'"));
    }
  return script;
}

/// What the lab's commands take, or nothing where it is not installed.
std::set<Completion> lab_completions() {
  const auto command = quoted(lab_program()) + " --completions 2>/dev/null";
  const std::unique_ptr<FILE, int (*)(FILE*)> lab(::popen(command.c_str(), "r"), ::pclose);
  std::string lines;
  std::array<char, 4096> piece;
  while (lab && std::fgets(piece.data(), piece.size(), lab.get())) lines += piece.data();
  return from_lines(lines);
}

void run(const CLI::App& app, const std::string& shell) {
  auto words = completions(app);
  words.merge(lab_completions());
  Table table;
  for (const bool option : {false, true})  // commands come first
    for (const auto& word : words)
      if (word.word.starts_with("--") == option) table[word.path].push_back(word);
  fmt::print("{}", shell == "bash" ? bash(table) : shell == "zsh" ? zsh(table) : fish(table));
}

}  // namespace

void add_completion(CLI::App& command) {
  const auto shell = std::make_shared<std::string>();
  command.add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  examples(command, {"veilnet completion bash > ~/.local/share/bash-completion/completions/veilnet",
                     "veilnet completion fish > ~/.config/fish/completions/veilnet.fish"});
  command.callback([&command, shell] { run(*command.get_parent(), *shell); });
}

}  // namespace veilnet::cli
