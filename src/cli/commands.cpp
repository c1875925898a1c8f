#include "cli/commands.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <iostream>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <string_view>
#include <system_error>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "cli/completion_table.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/signals.h"
#include "core/text.h"
#include "core/version.h"

namespace veilnet::cli {
namespace {

#define VEILNET_CLIENT_ROW(name, line) {#name, line, Program::Client},
#define VEILNET_LAB_ROW(name, line) {#name, line, Program::Lab},
constexpr Command kCommands[] = {VEILNET_COMMANDS(VEILNET_CLIENT_ROW, VEILNET_LAB_ROW)};
#undef VEILNET_CLIENT_ROW
#undef VEILNET_LAB_ROW

/// The message of a line of the log. Names of files, classes and models come from outside: they
/// must not reach the terminal as commands to it.
class PrintableMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& line, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const auto text = printable({line.payload.data(), line.payload.size()}, 2000);
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<PrintableMessage>();
  }
};

/// A stream that the caller closed would become the next file that is opened, a picture, say. It is
/// opened so that using it fails.
void hold_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF)
      ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/// @throws Error{Io} if something that was printed did not arrive, as on a full disk.
void finish_stdout() {
  std::cout.flush();
  errno = 0;
  if (std::fflush(stdout) != 0 || std::ferror(stdout) || !std::cout)
    fail(ErrorCode::Io, "standard output: cannot be written: {}",
         std::generic_category().message(errno != 0 ? errno : EIO));
}

/// The arguments as CLI11 2.1 must see them, last one first.
std::vector<std::string> prepared(int argc, char** argv) {
  std::vector<std::string> words;
  for (int i = argc - 1; i > 0; --i) {
    std::string word = argv[i];
    // It reads [a,b] as a list of two.
    if (word.starts_with('[') && word.ends_with(']')) word.insert(0, "./");
    // The shell expands ~ at the beginning of a word only.
    if (const auto equals = word.find("=~/"); word.starts_with("--") && equals != word.npos)
      if (const char* home = std::getenv("HOME")) word.replace(equals + 1, 1, home);
    words.push_back(std::move(word));
  }
  return words;
}

/// The deepest command that was recognised.
const CLI::App& recognised(const CLI::App& app) {
  const auto deeper = app.get_subcommands();
  return deeper.empty() ? app : recognised(*deeper.front());
}

/// "; did you mean ...?" for the first word that was not recognised, or nothing.
std::string suggestion(const CLI::App& app) {
  const auto& command = recognised(app);
  const auto words = app.remaining(true);
  if (words.empty()) return "";
  const auto word = words.front().substr(0, words.front().find('='));
  std::vector<std::string> known;
  if (word.starts_with('-')) {
    for (const auto* option : command.get_options())
      for (const auto& name : option->get_lnames()) known.push_back("--" + name);
  } else {
    for (const auto* below : command.get_subcommands([](const CLI::App*) { return true; }))
      known.push_back(below->get_name());
  }
  const auto nearest = closest(word, known);
  return nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest);
}

int refuse(const CLI::App& app, const CLI::ParseError& e) {
  const auto words = app.remaining(true);
  const auto& command = recognised(app);
  std::string path;
  for (const auto* at = &command; at; at = at->get_parent())
    path = path.empty() ? at->get_name() : at->get_name() + " " + path;
  const bool unknown = !words.empty() && !words.front().starts_with('-') &&
                       !command.get_subcommands([](const CLI::App*) { return true; }).empty();
  const auto what = unknown ? fmt::format("\"{}\" is no command", printable(words.front()))
                            : printable(e.what(), 400);
  fmt::print(stderr, "{}: {}{}\n{} --help shows what is allowed\n", path, what, suggestion(app),
             path);
  return 2;
}

/// Adds --quiet and --verbose to every command that has no commands below it.
void add_verbosity(CLI::App& app) {
  const auto below = app.get_subcommands([](const CLI::App*) { return true; });
  for (auto* command : below) add_verbosity(*command);
  if (!below.empty()) return;
  auto* quiet = app.add_flag_callback(
      "--quiet,-q",
      [] {
        spdlog::set_level(spdlog::level::warn);
        Progress::show(false);
      },
      "Print warnings, errors and results only");
  app.add_flag_callback(
         "--verbose,-v", [] { spdlog::set_level(spdlog::level::debug); },
         "Print what is done with each file")
      ->excludes(quiet);
}

/// An option whose value was forgotten takes the next option for it: `--grid --help` would write a
/// file of that name.
void refuse_options_as_values(CLI::App& app) {
  for (auto* below : app.get_subcommands([](const CLI::App*) { return true; }))
    refuse_options_as_values(*below);
  for (auto* option : app.get_options()) {
    if (option->get_items_expected_min() == 0) continue;
    option->check(CLI::Validator(
        [](std::string& value) -> std::string {
          if (!value.starts_with("--") || value == "--") return {};
          return fmt::format("{} is an option and no value; for a file of that name write ./{}",
                             printable(value, 80), printable(value, 80));
        },
        ""));
  }
}

/// Parses, which runs the command.
int run_parsed(CLI::App& app, std::vector<std::string> words) {
  try {
    app.parse(std::move(words));
  } catch (const CLI::Success& e) {  // --help, --version
    app.exit(e);
  }
  finish_stdout();
  return 0;
}

}  // namespace

std::span<const Command> commands() { return kCommands; }

CLI::App& add_command(CLI::App& app, const char* name) {
  for (const auto& row : kCommands)
    if (std::string_view(row.name) == name)
      return *app.add_subcommand(row.name, row.line)->group("Commands");
  fail(ErrorCode::InvalidArgument, "\"{}\" is no command", name);
}

int run_program(const char* name, int argc, char** argv, void (*fill)(CLI::App&)) {
  hold_standard_streams();
  install_interrupt_handler();
  spdlog::set_default_logger(spdlog::stderr_color_mt("veilnet"));
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<PrintableMessage>('v').set_pattern("%Y-%m-%d %H:%M:%S %^%l%$ %v");
  spdlog::set_formatter(std::move(formatter));

  // The user types veilnet for both programs.
  CLI::App app(
      "Veilnet: visually protected pictures that a cloud classifier names. Protects, classifies, "
      "trains, attacks and measures.",
      "veilnet");
  app.set_version_flag("--version", fmt::format("{} 0.1.0 ({})", name, commit()));
  app.require_subcommand(1);
  fill(app);
  add_verbosity(app);
  refuse_options_as_values(app);
  if (argc == 2 && std::string_view(argv[1]) == "--completions") {  // veilnet asks
    fmt::print("{}", to_lines(completions(app)));
    return 0;
  }
  try {
    return run_parsed(app, prepared(argc, argv));
  } catch (const CLI::ParseError& e) {
    return refuse(app, e);
  } catch (const Error& e) {
    spdlog::error("{}", e.what());
    // Where a signal to another process has stopped this one, it has seen none itself.
    if (e.code() == ErrorCode::Interrupted)
      return interrupted() ? interrupt_status() : static_cast<int>(128 + SIGTERM);
    if (e.code() == ErrorCode::Exceeded) return 3;
    return e.code() == ErrorCode::InvalidArgument ? 2 : 1;
  } catch (const std::exception& e) {
    spdlog::error("unexpected failure: {}", e.what());
    return 1;
  }
}

}  // namespace veilnet::cli
