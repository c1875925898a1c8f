// `veilnet verify plain/ protected/ --model h`: did protecting one's own pictures work?
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <mutex>
#include <spdlog/spdlog.h>
#include <system_error>

#include "cli/client/chance.h"
#include "cli/client/models.h"
#include "cli/inputs.h"
#include "cli/picture_work.h"
#include "core/error.h"
#include "core/files.h"
#include "core/signals.h"
#include "core/text.h"
#include "image/metrics.h"
#include "model/prepare.h"

namespace veilnet::cli {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::json;

// A picture of less contrast or colour than this is called flat, or grey.
constexpr double kFlatLevels = 12, kGreyLevels = 2;
// A crop that keeps less of the picture is told.
constexpr double kKept = 0.75;

struct VerifyOptions : PictureOptions {
  std::string plain;
  fs::path protected_pictures;
  ModelOptions model;
  ChanceOptions chance;
  double max_ssim = 0.3;
  std::size_t worst = 5;
};

/// What a picture is that h's training pictures were not.
struct Unlike {
  std::size_t enlarged = 0, cropped = 0, flat = 0, grey = 0;

  void add(const image::Image& plain, const image::Image& fitted) {
    const double scale = std::max(static_cast<double>(fitted.height) / plain.height,
                                  static_cast<double>(fitted.width) / plain.width);
    enlarged += scale > 1;
    cropped += fitted.height * fitted.width < kKept * scale * scale * plain.height * plain.width;
    double sum = 0, squares = 0, colour = 0;
    for (std::size_t i = 0; i < fitted.rgb.size(); i += 3) {
      const double r = fitted.rgb[i], g = fitted.rgb[i + 1], b = fitted.rgb[i + 2];
      sum += g;
      squares += g * g;
      colour += std::abs(r - g) + std::abs(b - g);
    }
    const auto pixels = static_cast<double>(fitted.rgb.size() / 3);
    flat += squares / pixels - std::pow(sum / pixels, 2) < kFlatLevels * kFlatLevels;
    grey += colour / pixels < kGreyLevels;
  }

  std::string text() const {
    std::string text;
    for (const auto& [count, what] :
         {std::pair(enlarged, "smaller, and enlarged"),
          std::pair(cropped, "cut by a quarter or more"), std::pair(flat, "nearly of one colour"),
          std::pair(grey, "without colour")})
      if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, what);
    return text;
  }
};

/// The pictures of one run and what was found about them.
class Verification {
 public:
  Verification(const VerifyOptions& options, const CLI::App& command)
      : o_(options),
        file_(find_model(o_.model, model::Role::Transform)),
        h_(load_transformation(o_.model, file_)),
        answer_(answer_of(o_.chance, command, h_.card(), file_, about_)) {
    if (o_.plain == "-")
      fail(ErrorCode::InvalidArgument,
           "the plain picture is -; allowed is a file or a folder, since its protected picture is "
           "found by its name");
    if (is_same_folder(o_.plain, o_.protected_pictures))
      fail(ErrorCode::InvalidArgument,
           "{} is given for the plain and for the protected pictures; allowed: two folders",
           o_.plain);
    const auto plain = find_inputs(o_.inputs, o_.protected_pictures).pictures;
    const auto names = png_names(plain);
    std::error_code ignored;
    const bool one = fs::is_regular_file(o_.protected_pictures, ignored);
    if (one && plain.size() > 1)
      fail(ErrorCode::InvalidArgument, "{} is one picture, and there are {} plain ones",
           o_.protected_pictures.string(), plain.size());
    for (std::size_t i = 0; i < plain.size(); ++i)
      protected_[plain[i].path] = one ? o_.protected_pictures : o_.protected_pictures / names[i];
  }

  void run() {
    about_["model"] = as_utf8(file_.native());
    about_["max_ssim"] = o_.max_ssim;
    run_pictures(o_, {.title = "verify",
                      .done = "verified",
                      .aside = o_.protected_pictures,
                      .record = about_,
                      .read = [this](auto bytes, const auto& name) { return read(bytes, name); },
                      .together = [this](std::span<Item> items) { compare(items); },
                      .encode = {},
                      .at_end = [this](json& record) { report(record); }});
    if (foreign_ + similar_ > 0)
      fail(ErrorCode::BadData, "{} of {} pictures are not protected by this model",
           foreign_ + similar_, worst_.size());
  }

 private:
  /// The plain picture as h saw it: of the model's size, or of its own where --keep-size was used.
  image::Image read(std::span<const std::uint8_t> bytes, const std::string& name) {
    const auto& path = protected_.at(name);
    auto seen = image::decode(read_file(path, image::DecodeLimits{}.max_file_bytes), path.string());
    const auto& card = h_.card();
    const auto has_size = [&](auto height, auto width) {
      return seen.height == height && seen.width == width;
    };
    const bool fitted = has_size(card.height, card.width);
    const auto plain = fitted ? image::decode_to_cover(bytes, name, seen.height, seen.width)
                              : image::decode(bytes, name);
    if (!fitted && !has_size(plain.height, plain.width))
      fail(ErrorCode::BadData,
           "{}: is {}x{}; this model makes {}x{} of {}, or {}x{} with --keep-size", path.string(),
           seen.width, seen.height, card.width, card.height, name, plain.width, plain.height);
    auto input = fitted ? model::fit(plain, card) : plain;
    const std::lock_guard lock(mutex_);
    unlike_.add(plain, input);
    seen_.insert_or_assign(name, std::move(seen));
    return input;
  }

  void compare(std::span<Item> items) {
    const auto plain = batch_of(items);
    const auto made = h_.transform(plain.pixels(), plain.height(), plain.width(), answer_);
    const auto bytes = made.size() / items.size();
    for (std::size_t i = 0; i < items.size(); ++i) {
      image::Image seen;
      {
        const std::lock_guard lock(mutex_);
        seen = std::move(seen_.extract(items[i].path.string()).mapped());
      }
      judge(items[i], seen, std::span(made).subspan(i * bytes, bytes));
    }
  }

  void judge(Item& item, const image::Image& seen, std::span<const std::uint8_t> made) {
    double difference_levels = 0;
    for (std::size_t i = 0; i < made.size(); ++i)
      difference_levels += std::abs(made[i] - seen.rgb[i]);
    difference_levels /= static_cast<double>(made.size());
    const auto& plain = item.picture;
    // An SSIM below zero is a negative, which shows as much. Its window needs 7 pixels.
    const double ssim = std::min(plain.height, plain.width) < 7
                            ? 0
                            : image::ssim(plain.rgb, seen.rgb, plain.height, plain.width);
    const bool foreign = difference_levels > runtime::kOwnLevels;
    const bool similar = std::abs(ssim) > o_.max_ssim;
    const auto path = protected_.at(item.path);
    if (foreign) spdlog::debug("{}: not this model's output", printable(path.native(), 4096));
    item.result["protected"] = as_utf8(path.native());
    item.result["ssim"] = ssim;
    item.result["difference_levels"] = difference_levels;
    item.result["of_this_model"] = !foreign;
    foreign_ += foreign;
    similar_ += !foreign && similar;
    ssim_sum_ += ssim;
    worst_.push_back({std::abs(ssim), foreign, path});
  }

  void report(json& record) {
    if (worst_.empty() || interrupted()) return;
    const auto count = worst_.size();
    std::ranges::sort(worst_, [](const Judged& a, const Judged& b) {
      return std::pair(b.foreign, b.similarity) < std::pair(a.foreign, a.similarity);
    });
    const double mean = ssim_sum_ / static_cast<double>(count);
    fmt::print("{} pairs: mean SSIM of protected with plain {:.3f}, |SSIM| at most {:.3f}\n", count,
               mean, std::ranges::max(worst_, {}, &Judged::similarity).similarity);
    fmt::print("  {:>7}  protected picture, the worst first\n", "|SSIM|");
    for (const auto& one : std::span(worst_).first(std::min(o_.worst, count)))
      fmt::print("  {:>7.3f}  {}{}\n", one.similarity, printable(one.path.native(), 4096),
                 one.foreign                    ? "  not this model's output"
                 : one.similarity > o_.max_ssim ? "  too similar"
                                                : "");
    fmt::print("{}: {} of {} hidden, {} too similar (|SSIM| above {}), {} not made by this model\n",
               foreign_ + similar_ == 0 ? "yes" : "NO", count - foreign_ - similar_, count,
               similar_, o_.max_ssim, foreign_);
    record["ssim_mean"] = mean;
    record["too_similar"] = similar_;
    record["not_of_this_model"] = foreign_;
    const auto unlike = unlike_.text();
    if (unlike.empty()) return;
    record["warning"] = fmt::format("kinds of pictures that h was hardly measured on: {}", unlike);
    spdlog::warn(
        "kinds of pictures that h was hardly measured on: {}; look at what it made of them",
        unlike);
  }

  struct Judged {
    double similarity;
    bool foreign;
    fs::path path;
  };

  const VerifyOptions& o_;
  fs::path file_;
  runtime::Transformation h_;
  json about_ = json::object();
  runtime::Transformation::Answer answer_;
  std::map<fs::path, fs::path> protected_;  ///< by the plain one's
  std::mutex mutex_;
  std::map<std::string, image::Image> seen_;  ///< protected pictures on their way, by the plain's
  Unlike unlike_;
  std::vector<Judged> worst_;
  std::size_t foreign_ = 0, similar_ = 0;
  double ssim_sum_ = 0;
};

}  // namespace

void add_verify(CLI::App& command) {
  const auto options = std::make_shared<VerifyOptions>();
  command.add_option("plain", options->plain, "Plain picture or folder")
      ->required()
      ->type_name("PLAIN");
  command.add_option("protected", options->protected_pictures, "What veilnet protect made of it")
      ->required()
      ->type_name("PROTECTED");
  add_model_options(command, options->model, model::Role::Transform);
  add_chance_options(command, options->chance);
  command
      .add_option("--max-ssim", options->max_ssim,
                  "A protected picture as similar as this to its plain one is not protected; -SSIM "
                  "counts as SSIM")
      ->check(between(0, 1))
      ->capture_default_str();
  command.add_option("--worst", options->worst, "How many of the most similar pairs to print")
      ->capture_default_str();
  add_shard(command, *options);
  add_jobs(command, *options);
  add_json(command, options->common);
  examples(command, {"veilnet verify photos/ protected/ --model runs/demo",
                     "veilnet verify photos/ protected/ --model h.safetensors --quiet || exit 1"});
  command.callback([options, &command] {
    options->inputs = {options->plain};
    Verification(*options, command).run();
  });
}

}  // namespace veilnet::cli
