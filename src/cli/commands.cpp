#include "cli/commands.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <string_view>

#include <CLI/CLI.hpp>

#include "core/error.h"
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

}  // namespace

std::span<const Command> commands() { return kCommands; }

CLI::App& add_command(CLI::App& app, const char* name) {
  for (const auto& row : kCommands)
    if (std::string_view(row.name) == name)
      return *app.add_subcommand(row.name, row.line)->group("Commands");
  fail(ErrorCode::InvalidArgument, "\"{}\" is no command", name);
}

int run_program(const char* name, int argc, char** argv, void (*fill)(CLI::App&)) {
  install_interrupt_handler();
  spdlog::set_default_logger(spdlog::stderr_color_mt("veilnet"));
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<PrintableMessage>('v').set_pattern("%H:%M:%S %^%l%$ %v");
  spdlog::set_formatter(std::move(formatter));

  // The user types veilnet for both programs.
  CLI::App app(
      "Veilnet: classify pictures in the cloud without showing them. Trains, attacks and measures "
      "visually protecting transformations.",
      "veilnet");
  app.set_version_flag("--version", fmt::format("{} 0.1.0 ({})", name, commit()));
  app.require_subcommand(1);
  try {
    fill(app);
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  } catch (const Error& e) {
    spdlog::error("{}", e.what());
    if (e.code() == ErrorCode::Interrupted) return interrupt_status();
    return e.code() == ErrorCode::InvalidArgument ? 2 : 1;
  } catch (const std::exception& e) {
    spdlog::error("unexpected failure: {}", e.what());
    return 1;
  }
}

}  // namespace veilnet::cli
