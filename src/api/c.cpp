#include <algorithm>
#include <cstdlib>
#include <new>
#include <string>
#include <utility>

#include "api/guarded.h"
#include "api/pictures.h"
#include "core/error.h"
#include "veilnet/veilnet.h"
#include "veilnet/veilnet_c.h"

struct veilnet_protector {
  veilnet::Protector it;
  std::string verdict = it.verdict(), classifier_sha256 = it.classifier_sha256();
};
struct veilnet_classifier {
  veilnet::Classifier it;
};
struct veilnet_client {
  veilnet::Client it;
};
struct veilnet_cipher {
  veilnet::Cipher it;
  std::string scheme = it.scheme(), key_id = it.key_id();
};

namespace {

using veilnet::Cause;
using veilnet::ErrorCode;
using veilnet::fail;

static_assert(VEILNET_INVALID_ARGUMENT == static_cast<int>(Cause::InvalidArgument) &&
              VEILNET_NOT_FOUND == static_cast<int>(Cause::NotFound) &&
              VEILNET_BAD_DATA == static_cast<int>(Cause::BadData) &&
              VEILNET_ALREADY_EXISTS == static_cast<int>(Cause::AlreadyExists) &&
              VEILNET_IO == static_cast<int>(Cause::Io) &&
              VEILNET_UNSUPPORTED == static_cast<int>(Cause::Unsupported) &&
              VEILNET_OTHER == static_cast<int>(Cause::Other));

thread_local std::string message;
thread_local std::vector<veilnet::Label> last_labels;  // whose names C was given

/// Without memory for a message there is the one before, cut.
void tell(const char* text) noexcept {
  try {
    message = text;
  } catch (...) {
    message.clear();
  }
}

/// Nothing is thrown into C.
template <class Body>
int without_throwing(const Body& body) noexcept {
  try {
    veilnet::api::guarded(body);
    return 0;
  } catch (const veilnet::Failure& e) {
    tell(e.what());
    return static_cast<int>(e.cause());
  } catch (const std::bad_alloc&) {
    tell("out of memory");
  } catch (...) {
    tell("unexpected failure");
  }
  return VEILNET_OTHER;
}

std::string text(const char* given, const char* name) {
  if (!given) fail(ErrorCode::InvalidArgument, "{} is NULL; allowed is a text", name);
  return given;
}
std::string text_or_empty(const char* given) { return given ? given : ""; }

veilnet::NetworkOptions options_in_cpp(const veilnet_network_options* given) {
  if (!given) return {};
  if (given->precision < VEILNET_FLOAT32 || given->precision > VEILNET_INT8)
    fail(ErrorCode::InvalidArgument, "precision is {}; allowed: {} (fp32), {} (bf16), {} (int8)",
         given->precision, int{VEILNET_FLOAT32}, int{VEILNET_BFLOAT16}, int{VEILNET_INT8});
  constexpr veilnet::Precision kPrecisions[] = {
      veilnet::Precision::Float32, veilnet::Precision::BFloat16, veilnet::Precision::Int8};
  return {given->threads, kPrecisions[given->precision], text_or_empty(given->codebook)};
}

veilnet::ServerOptions options_in_cpp(const veilnet_server_options* given) {
  veilnet::ServerOptions options;
  if (!given) return options;
  options.name = text_or_empty(given->name);
  options.classifier_sha256 = text_or_empty(given->classifier_sha256);
  options.api_key = text_or_empty(given->api_key);
  options.ca_file = text_or_empty(given->ca_file);
  if (given->timeout_ms != 0) options.timeout_ms = given->timeout_ms;
  if (given->tries != 0) options.tries = given->tries;
  return options;
}

veilnet::Picture picture_in_cpp(const veilnet_picture* given) {
  if (!given) fail(ErrorCode::InvalidArgument, "the picture is NULL");
  const auto pixels = veilnet::api::checked(given->rgb, 1, given->height, given->width);
  return {given->height, given->width, {pixels.begin(), pixels.end()}};
}

// For veilnet_free.
uint8_t* kept(const std::vector<uint8_t>& bytes) {
  auto* copy = static_cast<uint8_t*>(std::malloc(bytes.size()));
  if (!copy) throw std::bad_alloc();
  std::ranges::copy(bytes, copy);
  return copy;
}

veilnet_picture picture_in_c(const veilnet::Picture& made) {
  return {made.height, made.width, kept(made.rgb)};
}

void give_labels(std::vector<veilnet::Label> made, int top_k, veilnet_label* labels, int* count) {
  made.resize(std::min(made.size(), static_cast<size_t>(top_k)));  // whatever a server answers
  last_labels = std::move(made);
  for (const auto& label : last_labels) *labels++ = {label.name.c_str(), label.probability};
  *count = static_cast<int>(last_labels.size());
}

}  // namespace

extern "C" {

const char* veilnet_message(void) { return message.c_str(); }

const char* veilnet_version(void) {
  static const std::string text = veilnet::version();
  return text.c_str();
}

void veilnet_free(void* made) { std::free(made); }

int veilnet_read_picture(const char* path, veilnet_picture* out) {
  return without_throwing(
      [&] { *out = picture_in_c(veilnet::read_picture(text(path, "the path"))); });
}
int veilnet_read_fitted(const char* path, int height, int width, veilnet_picture* out) {
  return without_throwing(
      [&] { *out = picture_in_c(veilnet::read_picture(text(path, "the path"), height, width)); });
}
int veilnet_decode_picture(const uint8_t* bytes, size_t size, veilnet_picture* out) {
  return without_throwing([&] { *out = picture_in_c(veilnet::decode_picture(bytes, size)); });
}
int veilnet_encode_png(const veilnet_picture* picture, uint8_t** bytes, size_t* size) {
  return without_throwing([&] {
    const auto png = veilnet::encode_png(picture_in_cpp(picture));
    *bytes = kept(png);
    *size = png.size();
  });
}
int veilnet_write_png(const char* path, const veilnet_picture* picture, int replace) {
  return without_throwing(
      [&] { veilnet::write_png(text(path, "the path"), picture_in_cpp(picture), replace != 0); });
}

int veilnet_protector_open(const char* model, const veilnet_network_options* options,
                           veilnet_protector** out) {
  return without_throwing([&] {
    *out = new veilnet_protector{
        veilnet::Protector(text(model, "the model"), options_in_cpp(options))};
  });
}
void veilnet_protector_close(veilnet_protector* h) { delete h; }
void veilnet_protector_size(const veilnet_protector* h, int* height, int* width) {
  *height = h->it.height();
  *width = h->it.width();
}
const char* veilnet_protector_verdict(const veilnet_protector* h) { return h->verdict.c_str(); }
const char* veilnet_protector_classifier_sha256(const veilnet_protector* h) {
  return h->classifier_sha256.c_str();
}
int veilnet_protect_picture(const veilnet_protector* h, const veilnet_picture* plain,
                            veilnet_picture* out) {
  return without_throwing([&] { *out = picture_in_c(h->it.protect(picture_in_cpp(plain))); });
}
int veilnet_protect(const veilnet_protector* h, const uint8_t* images_nhwc, size_t count,
                    int height, int width, uint8_t* out) {
  return without_throwing(
      [&] { std::ranges::copy(h->it.protect(images_nhwc, count, height, width), out); });
}
int veilnet_verify(const veilnet_protector* h, const veilnet_picture* plain,
                   const veilnet_picture* seen, veilnet_verification* out) {
  return without_throwing([&] {
    const auto found = veilnet::verify(h->it, picture_in_cpp(plain), picture_in_cpp(seen));
    *out = {found.ssim, found.difference_levels, found.of_this_model};
  });
}

int veilnet_classifier_open(const char* model, const veilnet_network_options* options,
                            veilnet_classifier** out) {
  return without_throwing([&] {
    *out = new veilnet_classifier{
        veilnet::Classifier(text(model, "the model"), options_in_cpp(options))};
  });
}
void veilnet_classifier_close(veilnet_classifier* psi) { delete psi; }
void veilnet_classifier_size(const veilnet_classifier* psi, int* height, int* width) {
  *height = psi->it.height();
  *width = psi->it.width();
}
int veilnet_classifier_classes(const veilnet_classifier* psi) {
  return static_cast<int>(psi->it.class_names().size());
}
const char* veilnet_classifier_class(const veilnet_classifier* psi, int index) {
  const auto& names = psi->it.class_names();
  return index < 0 || index >= veilnet_classifier_classes(psi)
             ? nullptr
             : names[static_cast<size_t>(index)].c_str();
}
int veilnet_classify_picture(const veilnet_classifier* psi, const veilnet_picture* picture,
                             int top_k, veilnet_label* labels, int* count) {
  return without_throwing(
      [&] { give_labels(psi->it.classify(picture_in_cpp(picture), top_k), top_k, labels, count); });
}
int veilnet_classify(const veilnet_classifier* psi, const uint8_t* images_nhwc, size_t count,
                     int height, int width, float* logits) {
  return without_throwing(
      [&] { std::ranges::copy(psi->it.logits(images_nhwc, count, height, width), logits); });
}

int veilnet_client_open(const char* model, const veilnet_network_options* network,
                        const char* server, const veilnet_server_options* options,
                        veilnet_client** out) {
  return without_throwing([&] {
    veilnet::Protector h(text(model, "the model"), options_in_cpp(network));
    *out = new veilnet_client{
        veilnet::Client(std::move(h), text(server, "the server"), options_in_cpp(options))};
  });
}
void veilnet_client_close(veilnet_client* client) { delete client; }
int veilnet_client_classify(const veilnet_client* client, const veilnet_picture* plain, int top_k,
                            veilnet_label* labels, int* count) {
  return without_throwing([&] {
    give_labels(client->it.classify(picture_in_cpp(plain), top_k), top_k, labels, count);
  });
}
int veilnet_client_warned(const veilnet_client* client) { return client->it.warned(); }

int veilnet_cipher_generate(const char* scheme, int block_size, veilnet_cipher** out) {
  return without_throwing([&] {
    const auto name = text(scheme, "the scheme");
    *out = new veilnet_cipher{block_size == 0 ? veilnet::Cipher::generate(name)
                                              : veilnet::Cipher::generate(name, block_size)};
  });
}
int veilnet_cipher_open(const char* key_file, veilnet_cipher** out) {
  return without_throwing(
      [&] { *out = new veilnet_cipher{veilnet::Cipher::load(text(key_file, "the key file"))}; });
}
int veilnet_cipher_save(const veilnet_cipher* cipher, const char* key_file, int replace) {
  return without_throwing([&] { cipher->it.save(text(key_file, "the key file"), replace != 0); });
}
void veilnet_cipher_close(veilnet_cipher* cipher) { delete cipher; }
const char* veilnet_cipher_scheme(const veilnet_cipher* cipher) { return cipher->scheme.c_str(); }
const char* veilnet_cipher_key_id(const veilnet_cipher* cipher) { return cipher->key_id.c_str(); }
int veilnet_cipher_block_size(const veilnet_cipher* cipher) { return cipher->it.block_size(); }
int veilnet_encrypt_picture(const veilnet_cipher* cipher, const veilnet_picture* plain,
                            veilnet_picture* out) {
  return without_throwing([&] { *out = picture_in_c(cipher->it.encrypt(picture_in_cpp(plain))); });
}
int veilnet_decrypt_picture(const veilnet_cipher* cipher, const veilnet_picture* encrypted,
                            int height, int width, veilnet_picture* out) {
  return without_throwing(
      [&] { *out = picture_in_c(cipher->it.decrypt(picture_in_cpp(encrypted), height, width)); });
}
int veilnet_encrypt(const veilnet_cipher* cipher, const uint8_t* images_nhwc, size_t count,
                    int height, int width, uint8_t* out) {
  return without_throwing(
      [&] { std::ranges::copy(cipher->it.encrypt(images_nhwc, count, height, width), out); });
}
int veilnet_decrypt(const veilnet_cipher* cipher, const uint8_t* images_nhwc, size_t count,
                    int height, int width, uint8_t* out) {
  return without_throwing(
      [&] { std::ranges::copy(cipher->it.decrypt(images_nhwc, count, height, width), out); });
}

}  // extern "C"
