#include "measure/measures.h"

#include <cmath>

#include "core/error.h"

// The measures, in the order of record/measures.cpp.
#define VEILNET_MEASURES(X) \
  X(psnr_db)                \
  X(ssim)                   \
  X(ssim_gaussian)          \
  X(ms_ssim)                \
  X(feature_distance)       \
  X(exact)                  \
  X(reidentified)           \
  X(named)

namespace veilnet::measure {

#define VEILNET_DECLARE(id) Measured id(const Guesses& guesses, const Judges& judges);
VEILNET_MEASURES(VEILNET_DECLARE)
#undef VEILNET_DECLARE

Leak measure_all(const Guesses& guesses, const Judges& judges) {
  const auto& plain = guesses.plain.pictures;
  if (guesses.recovered.empty() || guesses.count() > plain.count() ||
      !guesses.recovered.same_size(plain))
    fail(ErrorCode::InvalidArgument,
         "there are {} guesses of {}x{} at {} pictures of {}x{}; allowed: 1 to as many, of the "
         "same size",
         guesses.count(), guesses.recovered.height(), guesses.recovered.width(), plain.count(),
         plain.height(), plain.width());
  Leak leak;
  const auto keep = [&](const std::string& id, const Measured& measured) {
    if (!measured) return;
    if (const auto* share = std::get_if<double>(&*measured)) {
      leak.figures[id] = *share;
    } else {
      const auto& values = std::get<Values>(*measured);
      leak.figures[id] = record::summarise(values);
      leak.values[id] = values;
    }
  };
#define VEILNET_KEEP(id) keep(#id, id(guesses, judges));
  VEILNET_MEASURES(VEILNET_KEEP)
#undef VEILNET_KEEP
  return leak;
}

image::Batch mean_picture(const image::Batch& pictures, size_t count) {
  std::vector<double> sum(pictures.picture_bytes());
  for (size_t i = 0; i < pictures.count(); ++i) {
    const auto picture = pictures.picture(i);
    for (size_t j = 0; j < sum.size(); ++j) sum[j] += picture[j];
  }
  image::Image mean{pictures.height(), pictures.width(), {}};
  for (const double s : sum)
    mean.rgb.push_back(
        static_cast<uint8_t>(std::lround(s / static_cast<double>(pictures.count()))));
  image::Batch out(pictures.height(), pictures.width());
  for (size_t i = 0; i < count; ++i) out.append(mean);
  return out;
}

}  // namespace veilnet::measure
