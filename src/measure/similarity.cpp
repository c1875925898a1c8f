// How alike two pictures are.
#include "image/metrics.h"
#include "measure/measures.h"

namespace veilnet::measure {
namespace {

template <class Compare>
Values each(const Guesses& g, Compare&& compare) {
  Values out;
  for (size_t i = 0; i < g.count(); ++i)
    out.push_back(compare(g.plain.image(i), g.recovered.picture(i)));
  return out;
}

Values each_ssim(const Guesses& g, image::SsimWindow window) {
  return each(g, [&](auto a, auto b) {
    return image::ssim(a, b, g.recovered.height(), g.recovered.width(), window);
  });
}

}  // namespace

Measured psnr_db(const Guesses& g, const Judges&) {
  return each(g, [](auto a, auto b) { return image::psnr_db(a, b); });
}

Measured ssim(const Guesses& g, const Judges&) { return each_ssim(g, image::SsimWindow::Uniform7); }

Measured ssim_gaussian(const Guesses& g, const Judges&) {
  return each_ssim(g, image::SsimWindow::Gaussian11);
}

Measured ms_ssim(const Guesses& g, const Judges&) {
  return each(g, [&](auto a, auto b) {
    return image::ms_ssim(a, b, g.recovered.height(), g.recovered.width());
  });
}

}  // namespace veilnet::measure
