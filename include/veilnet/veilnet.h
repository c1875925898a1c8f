// Veilnet's library for C++17 and later: what a client does, in a dozen lines.
//
//     veilnet::Protector h("cifar10-h");
//     veilnet::write_png("out.png", h.protect(veilnet::read_picture("cat.jpg")));
//
// Pictures are 8-bit RGB, rows top to bottom, interleaved (HWC); several of one size lie one behind
// the other (NHWC). Normalisation is the model file's business, never the caller's. Objects may be
// used by several threads at once. Everything throws Failure and nothing else, but for
// std::bad_alloc; what a moved-from object does is not defined.
//
// What this does not protect against: docs/findings.md (attacks that were measured) and
// docs/bound.md (what is bounded, for coded models alone).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#ifndef VEILNET_API
#define VEILNET_API __attribute__((visibility("default")))
#endif

namespace veilnet {

/// Why something failed. The numbers are those of veilnet_c.h.
enum class Cause {
  InvalidArgument = 1,  ///< a value or combination that is not allowed
  NotFound = 2,         ///< a file or a name that is not there
  BadData = 3,          ///< a file that is malformed, truncated or out of range
  AlreadyExists = 4,    ///< refusing to overwrite
  Io = 5,               ///< the operating system failed to read or write
  Unsupported = 6,      ///< valid, but not available in this build or on this machine
  Other = 7,
};

/// The message names the file or argument, the value and what is allowed.
class VEILNET_API Failure : public std::runtime_error {
 public:
  Failure(Cause cause, const std::string& message) : std::runtime_error(message), cause_(cause) {}
  Cause cause() const { return cause_; }

 private:
  Cause cause_;
};

/// "0.1.0 (commit)".
VEILNET_API std::string version();

/// rgb.size() == height * width * 3.
struct Picture {
  int height = 0, width = 0;
  std::vector<std::uint8_t> rgb;
};

/// PNG, JPEG or WebP, turned as its Exif orientation says; transparency on white.
/// @throws Failure{NotFound} if there is no such file, {Io} if it cannot be read, {BadData} if it
/// is no file or no picture, damaged, larger than 64 MB, of more than 64 million pixels or with a
/// side beyond 32768, {Unsupported} where memory does not suffice.
VEILNET_API Picture read_picture(const std::string& path);
/// Scaled until it covers that size, and centre cropped, as Protector::protect and the commands do.
/// Most JPEGs of four times that size or more are decoded at a fraction of their own: faster, and
/// within rounding of the whole one.
/// @throws also Failure{InvalidArgument} for sides below 1.
VEILNET_API Picture read_picture(const std::string& path, int height, int width);
/// The same of bytes in memory. @throws Failure{BadData, Unsupported} as read_picture.
VEILNET_API Picture decode_picture(const std::uint8_t* bytes, std::size_t size);
/// The bytes of a PNG file without any note; equal pictures give equal bytes.
/// @throws Failure{InvalidArgument} for an empty picture, or one whose bytes do not fit its size,
/// {Unsupported} where memory does not suffice.
VEILNET_API std::vector<std::uint8_t> encode_png(const Picture& picture);
/// Written whole or not at all, missing folders made. @throws Failure{AlreadyExists} if the file is
/// there, unless `replace`, {Io} if it cannot be written, and as encode_png.
VEILNET_API void write_png(const std::string& path, const Picture& picture, bool replace = false);

/// What networks compute in. BFloat16 and Int8 are faster on processors with instructions for them;
/// Int8 needs a model that `veilnet calibrate` made.
enum class Precision { Float32, BFloat16, Int8 };

struct NetworkOptions {
  int threads = 0;  ///< of each call; 0 for the physical cores, at most 1024
  Precision precision = Precision::Float32;
  /// Of a Protector with a coded model or its encoder: the folder of its pictures (`veilnet export
  /// --format codebook`), which are then the same on every machine. Else empty.
  std::string codebook{};
};

/// A transformation network h: turns plain pictures into protected ones.
class VEILNET_API Protector {
 public:
  /// @param model a model file, or a name that `veilnet models` lists.
  /// @throws Failure{NotFound} if there is neither such a file nor such a name, or the codebook or
  /// one of its pictures is not there,
  /// {Io} if a file cannot be read,
  /// {BadData} for a damaged model, one that is no transformation network, one that is not the file
  /// that the list of models describes, and a damaged codebook,
  /// {InvalidArgument} for threads out of range, Int8 of a model that was not calibrated, another
  /// precision than Float32 of a coded one, an encoder without its codebook, and a codebook that is
  /// another model's or beside a model without a code.
  explicit Protector(const std::string& model, const NetworkOptions& options = {});
  ~Protector();
  Protector(Protector&&) noexcept;
  Protector& operator=(Protector&&) noexcept;

  int height() const;  ///< of the pictures that the model was trained and measured on
  int width() const;
  /// What its own training says of it: "protects: ...", "does not protect: ...", or nothing for a
  /// model that was not judged.
  std::string verdict() const;
  /// SHA-256 of the classifier that it was trained for; empty where the file does not say.
  std::string classifier_sha256() const;

  /// The protected picture, height() x width(): scaled until it covers that size, centre cropped,
  /// transformed. The same bytes as `veilnet protect` writes, if a large JPEG was read at that
  /// size; different numbers of pictures at a time may differ by one level in few of them, and a
  /// coded one's picture on the border of two codes may get the other.
  /// @throws Failure{InvalidArgument} for an empty picture, or one whose bytes do not fit its size,
  /// {BadData} if what the network computes is not finite.
  Picture protect(const Picture& plain) const;
  /// `count` pictures of one size [count, height, width, 3], uint8, kept at that size (accuracy was
  /// measured at the model's own).
  /// @throws Failure{InvalidArgument} for no pictures, and for a size that the network cannot take:
  /// a coded one takes its own alone, and one picture 4 GB of memory at most; {BadData} as above.
  std::vector<std::uint8_t> protect(const std::uint8_t* images_nhwc, std::size_t count, int height,
                                    int width) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct Label {
  std::string name;
  double probability = 0;  ///< softmax, from 0 to 1; NaN where a server does not say
};

/// A classifier psi.
class VEILNET_API Classifier {
 public:
  /// @throws Failure{NotFound, Io} as Protector, {BadData} for a damaged model, one that is no
  /// classifier, and one that is not the file that the list of models describes, {InvalidArgument}
  /// for threads out of range, Int8 of a model that was not calibrated, and a codebook.
  explicit Classifier(const std::string& model, const NetworkOptions& options = {});
  ~Classifier();
  Classifier(Classifier&&) noexcept;
  Classifier& operator=(Classifier&&) noexcept;

  int height() const;
  int width() const;
  const std::vector<std::string>& class_names() const;

  /// The likeliest classes first, at most `top_k`. A picture of another size is fitted as protect
  /// does, which a protected one does not survive.
  /// @throws Failure{InvalidArgument} for top_k below 1, an empty picture, and one whose bytes do
  /// not fit its size, {BadData} if a logit is not finite.
  std::vector<Label> classify(const Picture& picture, int top_k = 1) const;
  /// Logits [count, classes] of pictures [count, height, width, 3], uint8.
  /// @throws Failure{InvalidArgument} for no pictures and a size that the network cannot take,
  /// {BadData} if a logit is not finite.
  std::vector<float> logits(const std::uint8_t* images_nhwc, std::size_t count, int height,
                            int width) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct ServerOptions {
  std::string name;               ///< the model there; the only one that is ready where empty
  std::string classifier_sha256;  ///< psi that h was trained for, where its file does not say
  std::string api_key;            ///< sent as a bearer token unless empty
  std::string ca_file;            ///< PEM that the certificate is checked with; else the system's
  int timeout_ms = 10'000;        ///< of one try
  int tries = 6;                  ///< of a request, with growing waits between
};

/// psi behind `veilnet serve`: pictures are protected here, and nothing else is sent.
class VEILNET_API Client {
 public:
  /// Asks the server which psi it has.
  /// @param server "https://HOST:PORT", or http where the network is trusted.
  /// @throws Failure{InvalidArgument} for another `server`, a name that no model can have, an API
  /// key that is no line of text, timeout_ms or tries below 1, where no name is given and not one
  /// model is ready, and where nobody says which psi h was trained for,
  /// {BadData} for a psi that h was not trained for, a certificate that is not trusted, a ca_file
  /// without certificates, and a server that refuses or answers what is no answer,
  /// {Io} where there is no answer, {Unsupported} if the library was built without a client.
  Client(Protector h, const std::string& server, const ServerOptions& options = {});
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  /// As Classifier::classify of h's picture. probability is NaN: servers keep it to themselves
  /// unless they are told otherwise.
  /// @throws Failure{InvalidArgument} for top_k below 1, and as Protector::protect; {Io} when the
  /// server does not answer; {BadData} when it refuses, and as Protector::protect.
  std::vector<Label> classify(const Picture& plain, int top_k = 1) const;
  /// The server's leak guard said that a picture looks unprotected.
  bool warned() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A conventional scheme with its key: docs/schemes.md says what each leaks.
class VEILNET_API Cipher {
 public:
  /// A new key from the operating system.
  /// @param scheme "le", "ele", "etc", "pe", ...: `veilnet schemes` lists them.
  /// @param block_size side in pixels, 1 to 64; schemes without blocks ignore it.
  /// @throws Failure{InvalidArgument} for another scheme, one without a key, and another block
  /// size, {Unsupported} where libsodium finds no random numbers.
  static Cipher generate(const std::string& scheme, int block_size = 4);
  /// A key file. @throws Failure{NotFound} if there is no such file, {Io} if it cannot be read,
  /// {BadData} if it is no key file or damaged, {Unsupported} for a later version of the format.
  static Cipher load(const std::string& key_file);
  /// Writes it with mode 0600, missing folders made. @throws Failure{AlreadyExists} if the file is
  /// there, unless `replace`, {Io} if it cannot be written.
  void save(const std::string& key_file, bool replace = false) const;
  ~Cipher();
  Cipher(Cipher&&) noexcept;
  Cipher& operator=(Cipher&&) noexcept;

  std::string scheme() const;
  int block_size() const;
  std::string key_id() const;  ///< tells keys apart, and says nothing about them

  /// Sides are rounded up to whole blocks: the last row and column are repeated.
  /// @throws Failure{InvalidArgument} for an empty picture, one whose bytes do not fit its size,
  /// and a side beyond 32768.
  Picture encrypt(const Picture& plain) const;
  /// @param height, width of the plain picture; 0 keeps the encrypted one's.
  /// @throws Failure{InvalidArgument} as encrypt, and for sizes that no encrypted picture of this
  /// scheme has; {Unsupported} if the scheme has no inverse.
  Picture decrypt(const Picture& encrypted, int height = 0, int width = 0) const;
  /// `count` pictures of one size whose sides are whole blocks, to as many of the same size.
  /// @throws Failure{InvalidArgument} for no pictures, and sides that are no whole blocks or beyond
  /// 32768; decrypt also {Unsupported} if the scheme has no inverse.
  std::vector<std::uint8_t> encrypt(const std::uint8_t* images_nhwc, std::size_t count, int height,
                                    int width) const;
  std::vector<std::uint8_t> decrypt(const std::uint8_t* images_nhwc, std::size_t count, int height,
                                    int width) const;

 private:
  struct Impl;
  explicit Cipher(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Did it work?
struct Verification {
  double ssim = 0;  ///< of the protected picture with the plain one, as h saw it; 0 below 7x7
  double difference_levels = 0;  ///< mean, from what this model makes of the plain one
  bool of_this_model = false;    ///< no more than rounding: 0.25 levels
};
/// @param plain as it was protected: where that was a large JPEG, read at the model's size.
/// @param seen the protected picture as the cloud has it, of the model's size, or of the plain
/// one's where that was protected at its own.
/// @throws Failure{InvalidArgument} for another size or one that the network cannot take, an empty
/// picture, and one whose bytes do not fit its size; {BadData} as Protector::protect.
VEILNET_API Verification verify(const Protector& h, const Picture& plain, const Picture& seen);

}  // namespace veilnet
