#include <algorithm>
#include <new>
#include <string>

#include "veilnet/veilnet.h"
#include "veilnet/veilnet_c.h"

struct veilnet_protector {
  veilnet::Protector it;
};
struct veilnet_classifier {
  veilnet::Classifier it;
};
struct veilnet_cipher {
  veilnet::Cipher it;
};

namespace {

thread_local std::string message;

/// Nothing is thrown into C.
template <class Body>
int guarded(const Body& body) {
  try {
    body();
    return 0;
  } catch (const veilnet::Failure& e) {
    message = e.what();
    return static_cast<int>(e.cause());
  } catch (const std::bad_alloc&) {
    message = "out of memory";
  } catch (...) {
    message = "unexpected failure";
  }
  return static_cast<int>(veilnet::Cause::Other);
}

}  // namespace

extern "C" {

const char* veilnet_message(void) { return message.c_str(); }

const char* veilnet_version(void) {
  static const std::string text = veilnet::version();
  return text.c_str();
}

int veilnet_protector_open(const char* model, int threads, veilnet_protector** out) {
  return guarded([&] { *out = new veilnet_protector{veilnet::Protector(model, {threads})}; });
}
int veilnet_protector_open_codebook(const char* model, const char* codebook, int threads,
                                    veilnet_protector** out) {
  return guarded([&] {
    *out = new veilnet_protector{
        veilnet::Protector(model, {threads, veilnet::Precision::Float32, codebook})};
  });
}
void veilnet_protector_close(veilnet_protector* h) { delete h; }
void veilnet_protector_size(const veilnet_protector* h, int* height, int* width) {
  *height = h->it.height();
  *width = h->it.width();
}
int veilnet_protect(const veilnet_protector* h, const uint8_t* images_nhwc, size_t count,
                    int height, int width, uint8_t* out) {
  return guarded([&] { std::ranges::copy(h->it.protect(images_nhwc, count, height, width), out); });
}

int veilnet_classifier_open(const char* model, int threads, veilnet_classifier** out) {
  return guarded([&] { *out = new veilnet_classifier{veilnet::Classifier(model, {threads})}; });
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
int veilnet_classify(const veilnet_classifier* psi, const uint8_t* images_nhwc, size_t count,
                     int height, int width, float* logits) {
  return guarded(
      [&] { std::ranges::copy(psi->it.logits(images_nhwc, count, height, width), logits); });
}

int veilnet_cipher_open(const char* key_file, veilnet_cipher** out) {
  return guarded([&] { *out = new veilnet_cipher{veilnet::Cipher::load(key_file)}; });
}
void veilnet_cipher_close(veilnet_cipher* cipher) { delete cipher; }
int veilnet_encrypt(const veilnet_cipher* cipher, const uint8_t* images_nhwc, size_t count,
                    int height, int width, uint8_t* out) {
  return guarded(
      [&] { std::ranges::copy(cipher->it.encrypt(images_nhwc, count, height, width), out); });
}
int veilnet_decrypt(const veilnet_cipher* cipher, const uint8_t* images_nhwc, size_t count,
                    int height, int width, uint8_t* out) {
  return guarded(
      [&] { std::ranges::copy(cipher->it.decrypt(images_nhwc, count, height, width), out); });
}

}  // extern "C"
