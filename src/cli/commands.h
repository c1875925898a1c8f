// Every command of Veilnet, in one table, and the two programs that run them.
#pragma once

#include <span>

namespace CLI {
class App;
}

// CLIENT(name, line) is run by veilnet itself, LAB(name, line) by veilnet-lab, which has LibTorch.
// A command is a row here and a function add_<name>, which gives the command its options and a
// callback.
// clang-format off
#if VEILNET_SERVE  // a build option
#define VEILNET_SERVER_COMMANDS(CLIENT)                                                           \
  CLIENT(serve,   "Answer requests for classifiers over HTTP")                                    \
  CLIENT(client,  "Protect pictures here, send only what is protected, print what they show")  \
  CLIENT(guard,   "Measure what h's pictures look like, so that serve refuses others")            \
  CLIENT(apikey,  "Draw a key for a client of serve")
#else
#define VEILNET_SERVER_COMMANDS(CLIENT)
#endif
#define VEILNET_COMMANDS(CLIENT, LAB)                                                             \
  CLIENT(protect, "Turn plain pictures into protected ones (8-bit PNG)")                          \
  CLIENT(classify, "Name plain or protected pictures with psi")                                   \
  CLIENT(verify,  "Check that pictures were protected, and how much they still show")              \
  CLIENT(keygen,  "Draw a key for a conventional scheme")                                         \
  CLIENT(encrypt, "Turn pictures into those of a conventional scheme (8-bit PNG)")                \
  CLIENT(decrypt, "Turn encrypted pictures back into plain ones")                                 \
  CLIENT(schemes, "List the conventional schemes with their key spaces")                          \
  CLIENT(export,  "Write a model as ONNX, as TorchScript, or as a folder for a Triton server")      \
  CLIENT(import,  "Make a model of a PyTorch state dict")                                           \
  CLIENT(calibrate, "Find the ranges of activations that --precision int8 needs")                   \
  CLIENT(bench,   "Measure how fast a model computes here, and how far from another back end")    \
  CLIENT(models,  "List the models that are there by name, with their figures")                   \
  VEILNET_SERVER_COMMANDS(CLIENT)                                                                 \
  CLIENT(completion, "Print a script that completes commands and options in a shell")             \
  LAB(demo,       "The whole way on synthetic pictures: train psi and h, protect, attack, report")\
  LAB(data,       "Check, describe and export the configured data set")                           \
  LAB(train,      "Train a network of an experiment")                                             \
  LAB(attack,     "Attack a transformation network or a conventional scheme")                     \
  LAB(audit,      "Attack one scheme or model with everything and report what leaks")             \
  LAB(evaluate,   "Measure accuracy, similarity and what the attack recovers on the test "        \
                  "pictures; with --scheme, of that scheme")                                      \
  LAB(report,     "Render an evaluated experiment as one HTML page")                              \
  LAB(reproduce,  "Run or resume a whole experiment, the comparison table of the schemes, or "    \
                  "the matrix of attacks on them")
// clang-format on

namespace veilnet::cli {

enum class Program { Client, Lab };

struct Command {
  const char* name;
  const char* line;  ///< what it does, for --help
  Program program;
};

/// The table's rows.
std::span<const Command> commands();

#define VEILNET_DECLARE(name, line) void add_##name(CLI::App& command);
VEILNET_COMMANDS(VEILNET_DECLARE, VEILNET_DECLARE)
#undef VEILNET_DECLARE

/// Adds the row `name` of the table to a program's command line and returns it.
CLI::App& add_command(CLI::App& app, const char* name);

/// A program from its arguments to its exit status: 0 done, 1 failed, 2 wrong usage or
/// configuration, 3 a figure beyond a limit of the user's. `fill` adds the commands.
int run_program(const char* name, int argc, char** argv, void (*fill)(CLI::App&));

}  // namespace veilnet::cli
