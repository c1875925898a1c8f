/* Veilnet's library for C and for languages that call C: veilnet.h has the same in C++, and says
 * more. Functions return 0, or the number of a cause (veilnet.h) and leave what they should have
 * written alone; veilnet_message() then says why. Pictures are uint8 [count, height, width, 3]. */
#ifndef VEILNET_C_H
#define VEILNET_C_H

#include <stddef.h>
#include <stdint.h>

#ifndef VEILNET_API
#define VEILNET_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct veilnet_protector veilnet_protector;
typedef struct veilnet_classifier veilnet_classifier;
typedef struct veilnet_cipher veilnet_cipher;

/* Of the last call of this thread that failed; valid until its next one. */
VEILNET_API const char* veilnet_message(void);
VEILNET_API const char* veilnet_version(void);

/* threads: 0 for the physical cores. Close accepts NULL. */
VEILNET_API int veilnet_protector_open(const char* model, int threads, veilnet_protector** out);
/* codebook: folder of the pictures of a coded model, or of its encoder (docs/bound.md). */
VEILNET_API int veilnet_protector_open_codebook(const char* model, const char* codebook,
                                                int threads, veilnet_protector** out);
VEILNET_API void veilnet_protector_close(veilnet_protector* h);
VEILNET_API void veilnet_protector_size(const veilnet_protector* h, int* height, int* width);
/* out: as many bytes as images_nhwc. */
VEILNET_API int veilnet_protect(const veilnet_protector* h, const uint8_t* images_nhwc,
                                size_t count, int height, int width, uint8_t* out);

VEILNET_API int veilnet_classifier_open(const char* model, int threads, veilnet_classifier** out);
VEILNET_API void veilnet_classifier_close(veilnet_classifier* psi);
VEILNET_API void veilnet_classifier_size(const veilnet_classifier* psi, int* height, int* width);
VEILNET_API int veilnet_classifier_classes(const veilnet_classifier* psi);
/* NULL beyond the last; valid until psi is closed. */
VEILNET_API const char* veilnet_classifier_class(const veilnet_classifier* psi, int index);
/* logits: count * classes floats. */
VEILNET_API int veilnet_classify(const veilnet_classifier* psi, const uint8_t* images_nhwc,
                                 size_t count, int height, int width, float* logits);

VEILNET_API int veilnet_cipher_open(const char* key_file, veilnet_cipher** out);
VEILNET_API void veilnet_cipher_close(veilnet_cipher* cipher);
/* Sides are whole blocks. out: as many bytes as images_nhwc. */
VEILNET_API int veilnet_encrypt(const veilnet_cipher* cipher, const uint8_t* images_nhwc,
                                size_t count, int height, int width, uint8_t* out);
VEILNET_API int veilnet_decrypt(const veilnet_cipher* cipher, const uint8_t* images_nhwc,
                                size_t count, int height, int width, uint8_t* out);

#ifdef __cplusplus
}
#endif
#endif
