#include "api/pictures.h"

#include <fmt/format.h>
#include <limits>
#include <utility>

#include "api/guarded.h"
#include "core/error.h"
#include "core/files.h"
#include "core/version.h"

namespace veilnet {
namespace api {

Cause cause_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::InvalidArgument: return Cause::InvalidArgument;
    case ErrorCode::NotFound: return Cause::NotFound;
    case ErrorCode::BadData: return Cause::BadData;
    case ErrorCode::AlreadyExists: return Cause::AlreadyExists;
    case ErrorCode::Io: return Cause::Io;
    case ErrorCode::Unsupported: return Cause::Unsupported;
    case ErrorCode::Diverged:
    case ErrorCode::Interrupted:
    case ErrorCode::Exceeded: break;  // of trainings and audits
  }
  return Cause::Other;
}

std::span<const std::uint8_t> checked(const std::uint8_t* images_nhwc, std::size_t count,
                                      int height, int width) {
  if (!images_nhwc || count == 0 || height < 1 || width < 1)
    fail(ErrorCode::InvalidArgument,
         "{} pictures of {}x{}{}; allowed is one or more, of sides from 1", count, width, height,
         images_nhwc ? "" : " at no address");
  const auto bytes = std::size_t{3} * static_cast<std::size_t>(height);
  if (bytes > std::numeric_limits<std::size_t>::max() / static_cast<std::size_t>(width) / count)
    fail(ErrorCode::InvalidArgument, "{} pictures of {}x{} do not fit the address space", count,
         width, height);
  return {images_nhwc, bytes * static_cast<std::size_t>(width) * count};
}

image::Image checked(const Picture& picture) {
  const auto pixels = checked(picture.rgb.data(), 1, picture.height, picture.width);
  if (pixels.size() != picture.rgb.size())
    fail(ErrorCode::InvalidArgument, "a picture of {}x{} has {} bytes; allowed is {}",
         picture.width, picture.height, picture.rgb.size(), pixels.size());
  return {picture.height, picture.width, picture.rgb};
}

Picture to_public(image::Image picture) {
  return {picture.height, picture.width, std::move(picture.rgb)};
}

}  // namespace api

using api::guarded;

std::string version() { return fmt::format("{} ({})", VEILNET_VERSION, commit()); }

Picture read_picture(const std::string& path) {
  return guarded([&] { return api::to_public(image::read_image(path)); });
}

Picture read_picture(const std::string& path, int height, int width) {
  return guarded([&] { return api::to_public(image::read_fitted(path, height, width)); });
}

Picture decode_picture(const std::uint8_t* bytes, std::size_t size) {
  return guarded([&] { return api::to_public(image::decode({bytes, size}, "picture")); });
}

std::vector<std::uint8_t> encode_png(const Picture& picture) {
  return guarded([&] { return image::encode_png(api::checked(picture)); });
}

void write_png(const std::string& path, const Picture& picture, bool replace) {
  guarded([&] {
    image::write_png(path, api::checked(picture), replace ? Overwrite::Yes : Overwrite::No);
  });
}

}  // namespace veilnet
