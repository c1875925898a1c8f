// What protect, classify, encrypt and decrypt have in common: many pictures in, one result for
// each.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "image/batch.h"

namespace veilnet::cli {

/// The options that such a command takes.
struct PictureOptions {
  CommonOptions common;
  std::vector<std::string> inputs;
  std::filesystem::path output;
  bool force = false, skip_existing = false;
  int jobs = 0;       ///< pictures that are read and written at the same time; 0: physical cores
  std::string shard;  ///< "i/n": every n-th picture from the i-th on; empty for all
};
/// Adds --jobs alone.
void add_jobs(CLI::App& command, PictureOptions& options);
/// --shard of the picture commands.
void add_shard(CLI::App& command, PictureOptions& options);
/// Adds the inputs, --jobs, --shard and --json.
void add_picture_options(CLI::App& command, PictureOptions& options);
/// Adds --output, --force and --skip-existing; suffix as in PictureWork.
void add_output_options(CLI::App& command, PictureOptions& options, const std::string& suffix = {});

/// A picture on its way.
struct Item {
  std::size_t index = 0;  ///< among the inputs, as on the command line
  std::filesystem::path path;
  image::Image picture;
  nlohmann::json result = nlohmann::json::object();  ///< goes into the JSON record
  std::string line;                                  ///< printed on standard output, unless empty
};

/// The pictures of items that have one size.
image::Batch batch_of(std::span<const Item> items);

/// What a command does with pictures.
struct PictureWork {
  std::string title;  ///< of the progress line: "protect"
  std::string done;   ///< of the closing line: "protected"
  /// What one picture becomes where no output is named: NAME-suffix.png. Empty: it must be named.
  std::string suffix = {};
  /// A folder whose pictures are no inputs where it lies in theirs; the output folder is none
  /// anyway.
  std::filesystem::path aside = {};
  /// What the JSON record says beside the pictures.
  nlohmann::json record = nlohmann::json::object();
  /// Decodes. Called on several threads at once.
  std::function<image::Image(std::span<const std::uint8_t> bytes, const std::string& name)> read;
  std::uint64_t max_file_bytes = image::DecodeLimits{}.max_file_bytes;  ///< of one picture
  /// For pictures of one size together, in the order of the inputs; on one thread. May be empty.
  std::function<void(std::span<Item> items)> together = {};
  /// For one picture, after that; called on several threads at once. One that it throws for failed.
  /// May be empty.
  std::function<void(Item& item)> each = {};
  /// The PNG file. Called on several threads at once. Empty: nothing is written.
  std::function<std::vector<std::uint8_t>(const image::Image&)> encode = {};
  /// When all are done: says what the user should know of all, and adds it to the record. May be
  /// empty.
  std::function<void(nlohmann::json& record)> at_end = {};
};

/// Does the work on every input and writes what came of each to --json: `written` (or `results`),
/// `skipped`, `failed`, `left_out`, `interrupted`. A picture that fails does not stop the others.
/// The output is a folder; for a single picture also a .png file or "-", standard output, and where
/// none is given NAME-suffix.png in the working folder. On the first Ctrl-C or SIGTERM no further
/// picture is begun, and within a second it says what is done.
///
/// The output folder is made when there is a picture to write.
///
/// Memory does not grow with the number of pictures: they go through in groups of at most 128 and
/// some 64 MB, three at a time (one is read, one computed, one written), however large the folder.
/// @throws Error{InvalidArgument} if --output is missing where many are written, or is an input
/// or names a picture of a lossy kind; Error{BadData} at the end when a picture failed;
/// Error{Interrupted}.
void run_pictures(const PictureOptions& options, PictureWork work);

}  // namespace veilnet::cli
