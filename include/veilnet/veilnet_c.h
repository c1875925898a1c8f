/* Veilnet's library for C and for languages that call C: veilnet.h has the same in C++, and says
 * more: what each function does, and for which cause it fails.
 *
 * Functions that return int return 0, or the number of a cause, and then leave what they should
 * have written alone; veilnet_message() says why. Pictures are 8-bit RGB, rows top to bottom,
 * interleaved: a veilnet_picture is one, images_nhwc are `count` of one size one behind the other,
 * uint8 [count, height, width, 3]. Strings are UTF-8 or the file system's, and end with 0. Options
 * that are NULL, and members that are 0, take the default. Nothing else may be NULL unless it says
 * so. What is opened may be used by several threads at once; close accepts NULL. */
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

/* Causes. */
enum {
  VEILNET_INVALID_ARGUMENT = 1,
  VEILNET_NOT_FOUND = 2,
  VEILNET_BAD_DATA = 3,
  VEILNET_ALREADY_EXISTS = 4,
  VEILNET_IO = 5,
  VEILNET_UNSUPPORTED = 6,
  VEILNET_OTHER = 7 /* among them: no memory */
};

/* What networks compute in. */
enum { VEILNET_FLOAT32 = 0, VEILNET_BFLOAT16 = 1, VEILNET_INT8 = 2 };

typedef struct veilnet_protector veilnet_protector;
typedef struct veilnet_classifier veilnet_classifier;
typedef struct veilnet_client veilnet_client;
typedef struct veilnet_cipher veilnet_cipher;

/* rgb: height * width * 3 bytes; of a picture that the library made, the caller's to give to
 * veilnet_free. Functions only read the pictures that they are given. */
typedef struct {
  int height, width;
  uint8_t* rgb;
} veilnet_picture;

typedef struct {
  int threads;          /* of each call; 0 for the physical cores, at most 1024 */
  int precision;        /* VEILNET_FLOAT32, ... */
  const char* codebook; /* of a protector: folder of the pictures of a coded model or its encoder */
} veilnet_network_options;

typedef struct {
  const char* name;              /* the model there; the only one that is ready where NULL */
  const char* classifier_sha256; /* psi that h was trained for, where its file does not say */
  const char* api_key;           /* sent as a bearer token */
  const char* ca_file;           /* PEM that the certificate is checked with; else the system's */
  int timeout_ms;                /* of one try; 10000 unless given */
  int tries;                     /* of a request; 6 unless given */
} veilnet_server_options;

typedef struct {
  const char* name;   /* valid until this thread's next call of a function that gives labels */
  double probability; /* NaN where a server does not say */
} veilnet_label;

typedef struct {
  double ssim, difference_levels;
  int of_this_model; /* 0 or 1 */
} veilnet_verification;

/* Of the last call of this thread that failed; valid until its next one. */
VEILNET_API const char* veilnet_message(void);
VEILNET_API const char* veilnet_version(void);
/* What the library made for the caller. Accepts NULL. */
VEILNET_API void veilnet_free(void* made);

VEILNET_API int veilnet_read_picture(const char* path, veilnet_picture* out);
VEILNET_API int veilnet_read_fitted(const char* path, int height, int width, veilnet_picture* out);
VEILNET_API int veilnet_decode_picture(const uint8_t* bytes, size_t size, veilnet_picture* out);
/* *bytes: *size of them, to be given to veilnet_free. */
VEILNET_API int veilnet_encode_png(const veilnet_picture* picture, uint8_t** bytes, size_t* size);
VEILNET_API int veilnet_write_png(const char* path, const veilnet_picture* picture, int replace);

/* model: a file, or a name that `veilnet models` lists. */
VEILNET_API int veilnet_protector_open(const char* model, const veilnet_network_options* options,
                                       veilnet_protector** out);
VEILNET_API void veilnet_protector_close(veilnet_protector* h);
VEILNET_API void veilnet_protector_size(const veilnet_protector* h, int* height, int* width);
/* Empty where the file does not say; valid until h is closed. */
VEILNET_API const char* veilnet_protector_verdict(const veilnet_protector* h);
VEILNET_API const char* veilnet_protector_classifier_sha256(const veilnet_protector* h);
/* One picture of any size, fitted to the model's. */
VEILNET_API int veilnet_protect_picture(const veilnet_protector* h, const veilnet_picture* plain,
                                        veilnet_picture* out);
/* Kept at their size. out: as many bytes as images_nhwc. */
VEILNET_API int veilnet_protect(const veilnet_protector* h, const uint8_t* images_nhwc,
                                size_t count, int height, int width, uint8_t* out);
/* Did it work? */
VEILNET_API int veilnet_verify(const veilnet_protector* h, const veilnet_picture* plain,
                               const veilnet_picture* seen, veilnet_verification* out);

VEILNET_API int veilnet_classifier_open(const char* model, const veilnet_network_options* options,
                                        veilnet_classifier** out);
VEILNET_API void veilnet_classifier_close(veilnet_classifier* psi);
VEILNET_API void veilnet_classifier_size(const veilnet_classifier* psi, int* height, int* width);
VEILNET_API int veilnet_classifier_classes(const veilnet_classifier* psi);
/* NULL beyond the last; valid until psi is closed. */
VEILNET_API const char* veilnet_classifier_class(const veilnet_classifier* psi, int index);
/* labels: room for top_k; *count: how many there are, the likeliest first. */
VEILNET_API int veilnet_classify_picture(const veilnet_classifier* psi,
                                         const veilnet_picture* picture, int top_k,
                                         veilnet_label* labels, int* count);
/* logits: count * classes floats. */
VEILNET_API int veilnet_classify(const veilnet_classifier* psi, const uint8_t* images_nhwc,
                                 size_t count, int height, int width, float* logits);

/* psi behind a server. model, network: h, as for veilnet_protector_open. */
VEILNET_API int veilnet_client_open(const char* model, const veilnet_network_options* network,
                                    const char* server, const veilnet_server_options* options,
                                    veilnet_client** out);
VEILNET_API void veilnet_client_close(veilnet_client* client);
/* As veilnet_classify_picture, of what h makes of the plain picture. */
VEILNET_API int veilnet_client_classify(const veilnet_client* client, const veilnet_picture* plain,
                                        int top_k, veilnet_label* labels, int* count);
/* 1 if the server's leak guard said that a picture looks unprotected, else 0. */
VEILNET_API int veilnet_client_warned(const veilnet_client* client);

/* A new key. block_size: 0 for 4. */
VEILNET_API int veilnet_cipher_generate(const char* scheme, int block_size, veilnet_cipher** out);
VEILNET_API int veilnet_cipher_open(const char* key_file, veilnet_cipher** out);
VEILNET_API int veilnet_cipher_save(const veilnet_cipher* cipher, const char* key_file,
                                    int replace);
VEILNET_API void veilnet_cipher_close(veilnet_cipher* cipher);
/* Valid until the cipher is closed. */
VEILNET_API const char* veilnet_cipher_scheme(const veilnet_cipher* cipher);
VEILNET_API const char* veilnet_cipher_key_id(const veilnet_cipher* cipher);
VEILNET_API int veilnet_cipher_block_size(const veilnet_cipher* cipher);
/* Of any size; sides are rounded up to whole blocks. */
VEILNET_API int veilnet_encrypt_picture(const veilnet_cipher* cipher, const veilnet_picture* plain,
                                        veilnet_picture* out);
/* height, width: of the plain picture; 0 keeps the encrypted one's. */
VEILNET_API int veilnet_decrypt_picture(const veilnet_cipher* cipher,
                                        const veilnet_picture* encrypted, int height, int width,
                                        veilnet_picture* out);
/* Sides are whole blocks. out: as many bytes as images_nhwc. */
VEILNET_API int veilnet_encrypt(const veilnet_cipher* cipher, const uint8_t* images_nhwc,
                                size_t count, int height, int width, uint8_t* out);
VEILNET_API int veilnet_decrypt(const veilnet_cipher* cipher, const uint8_t* images_nhwc,
                                size_t count, int height, int width, uint8_t* out);

#ifdef __cplusplus
}
#endif
#endif
