#include <algorithm>
#include <memory>
#include <utility>

#include "api/guarded.h"
#include "api/pictures.h"
#include "cipher/key_file.h"
#include "cipher/scheme.h"
#include "core/error.h"

namespace veilnet {

using api::guarded;

struct Cipher::Impl {
  cipher::KeyFile key;

  auto scheme(int height, int width) const {
    return cipher::make_scheme(key.options, key.key, height, width);
  }
  /// For pictures that need no padding. @throws Error{InvalidArgument} for others.
  auto whole(int height, int width) const {
    auto made = scheme(height, width);
    if (made->padded_height() != height || made->padded_width() != width)
      fail(ErrorCode::InvalidArgument, "pictures of {}x{} are no whole blocks of {}", width, height,
           key.options.block_size);
    return made;
  }
};

Cipher::Cipher(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Cipher::~Cipher() = default;
Cipher::Cipher(Cipher&&) noexcept = default;
Cipher& Cipher::operator=(Cipher&&) noexcept = default;

Cipher Cipher::generate(const std::string& scheme, int block_size) {
  return guarded([&] {
    cipher::SchemeOptions options{.id = scheme, .block_size = block_size};
    if (!cipher::scheme_spec(scheme).keyed())
      fail(ErrorCode::InvalidArgument, "scheme \"{}\" has no key", scheme);
    auto impl = std::make_unique<Impl>(Impl{{options, cipher::random_key()}});
    impl->scheme(1, 1);  // refuses wrong options now
    return Cipher(std::move(impl));
  });
}

Cipher Cipher::load(const std::string& key_file) {
  return guarded([&] { return Cipher(std::make_unique<Impl>(Impl{cipher::load_key(key_file)})); });
}

void Cipher::save(const std::string& key_file, bool replace) const {
  guarded(
      [&] { cipher::save_key(key_file, impl_->key, replace ? Overwrite::Yes : Overwrite::No); });
}

std::string Cipher::scheme() const { return impl_->key.options.id; }
int Cipher::block_size() const { return impl_->key.options.block_size; }
std::string Cipher::key_id() const {
  return guarded([&] { return cipher::key_id(impl_->key); });
}

Picture Cipher::encrypt(const Picture& plain) const {
  return guarded([&] {
    const auto picture = api::checked(plain);
    const auto scheme = impl_->scheme(picture.height, picture.width);
    Picture out{scheme->padded_height(), scheme->padded_width(), {}};
    out.rgb.resize(std::size_t{3} * out.height * out.width);
    scheme->encrypt(picture.rgb, out.rgb);
    return out;
  });
}

Picture Cipher::decrypt(const Picture& encrypted, int height, int width) const {
  return guarded([&] {
    const auto picture = api::checked(encrypted);
    if (height < 0 || width < 0)
      fail(ErrorCode::InvalidArgument,
           "the plain picture is {}x{}; allowed are sides from 1, and 0 for the encrypted one's",
           width, height);
    Picture out{height > 0 ? height : picture.height, width > 0 ? width : picture.width, {}};
    if (out.height > picture.height || out.width > picture.width)
      fail(ErrorCode::InvalidArgument, "a picture of {}x{} cannot have come of one of {}x{}",
           picture.width, picture.height, out.width, out.height);
    const auto scheme = impl_->scheme(out.height, out.width);
    if (scheme->padded_height() != picture.height || scheme->padded_width() != picture.width)
      fail(ErrorCode::InvalidArgument,
           "a picture of {}x{} encrypts to {}x{}; the encrypted one is {}x{}", out.width,
           out.height, scheme->padded_width(), scheme->padded_height(), picture.width,
           picture.height);
    out.rgb.resize(std::size_t{3} * out.height * out.width);
    scheme->decrypt(picture.rgb, out.rgb);
    return out;
  });
}

std::vector<std::uint8_t> Cipher::encrypt(const std::uint8_t* images_nhwc, std::size_t count,
                                          int height, int width) const {
  return guarded([&] {
    const auto plain = api::checked(images_nhwc, count, height, width);
    std::vector<std::uint8_t> out(plain.size());
    cipher::encrypt_all(*impl_->whole(height, width), plain, out);
    return out;
  });
}

std::vector<std::uint8_t> Cipher::decrypt(const std::uint8_t* images_nhwc, std::size_t count,
                                          int height, int width) const {
  return guarded([&] {
    const auto encrypted = api::checked(images_nhwc, count, height, width);
    const auto scheme = impl_->whole(height, width);
    std::vector<std::uint8_t> out(encrypted.size());
    const auto bytes = encrypted.size() / count;
    for (std::size_t i = 0; i < count; ++i)
      scheme->decrypt(encrypted.subspan(i * bytes, bytes),
                      std::span(out).subspan(i * bytes, bytes));
    return out;
  });
}

}  // namespace veilnet
