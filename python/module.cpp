// The Python module: include/veilnet/veilnet.h with NumPy arrays, uint8 NHWC (or HWC for one
// picture).
#include <cstring>
#include <optional>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>
#include <string>
#include <utility>
#include <vector>

#include "veilnet/veilnet.h"

namespace py = pybind11;

namespace {

// Read in place where it is contiguous, as most are.
using Pictures = py::array_t<std::uint8_t, py::array::c_style>;

struct Shape {
  std::size_t count;
  int height, width;
  std::vector<py::ssize_t> dims;
};

[[noreturn]] void refuse(const std::string& message) {
  throw veilnet::Failure(veilnet::Cause::InvalidArgument, message);
}

Pictures pictures_of(const py::array& images) {
  // Never converted: floats from 0 to 1 would silently become black.
  // By value: an array that was pickled has a dtype object of its own.
  if (images.dtype().kind() != 'u' || images.dtype().itemsize() != 1)
    refuse("pictures are of type " + std::string(py::str(images.dtype())) + "; allowed is uint8");
  auto made = Pictures::ensure(images);
  if (!made) throw std::bad_alloc();  // a copy, for which there is no memory
  return made;
}

Shape shape_of(const Pictures& images) {
  const auto n = images.ndim();
  if ((n != 3 && n != 4) || images.shape(n - 1) != 3) {
    refuse("pictures are of shape " + std::string(py::str(images.attr("shape"))) +
           "; allowed is (height, width, 3) or (count, height, width, 3)");
  }
  for (py::ssize_t i = n - 3; i < n; ++i)
    if (images.shape(i) > 1 << 20) refuse("a side is longer than 1048576 pixels");
  return {n == 4 ? static_cast<std::size_t>(images.shape(0)) : 1,
          static_cast<int>(images.shape(n - 3)),
          static_cast<int>(images.shape(n - 2)),
          {images.shape(), images.shape() + n}};
}

// The vector's memory becomes the array's.
template <class T>
py::array_t<T> array_of(std::vector<T> values, std::vector<py::ssize_t> shape) {
  auto* kept = new std::vector<T>(std::move(values));
  const py::capsule owner(kept, [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return py::array_t<T>(std::move(shape), kept->data(), owner);
}

// Calls work(pixels, count, height, width) without the interpreter's lock.
template <class Work>
auto unlocked(const Pictures& images, const Shape& shape, const Work& work) {
  const auto* pixels = images.data();
  const py::gil_scoped_release release;
  return work(pixels, shape.count, shape.height, shape.width);
}

template <class Work>
py::array_t<std::uint8_t> to_pictures(const py::array& array, const Work& work) {
  const auto images = pictures_of(array);
  const auto shape = shape_of(images);
  return array_of(unlocked(images, shape, work), shape.dims);
}

py::array_t<std::uint8_t> to_array(veilnet::Picture picture) {
  return array_of(std::move(picture.rgb), {picture.height, picture.width, 3});
}

veilnet::Picture to_picture(const py::array& array) {
  const auto images = pictures_of(array);
  const auto shape = shape_of(images);
  if (images.ndim() != 3) refuse("one picture is wanted, of shape (height, width, 3)");
  return {shape.height, shape.width, {images.data(), images.data() + images.size()}};
}

// What the library does is done without the interpreter's lock; pictures are copied before.
template <class Work>
auto alone(const Work& work) {
  const py::gil_scoped_release release;
  return work();
}

py::list labels_of(const std::vector<veilnet::Label>& labels) {
  py::list out;
  for (const auto& label : labels) out.append(py::make_tuple(label.name, label.probability));
  return out;
}

veilnet::NetworkOptions options_of(int threads, const std::string& precision,
                                   const std::string& codebook = "") {
  if (precision == "fp32") return {threads, veilnet::Precision::Float32, codebook};
  if (precision == "bf16") return {threads, veilnet::Precision::BFloat16, codebook};
  if (precision == "int8") return {threads, veilnet::Precision::Int8, codebook};
  refuse("precision is \"" + precision + "\"; allowed: fp32, bf16, int8");
}

const char* name_of(veilnet::Cause cause) {
  switch (cause) {
    case veilnet::Cause::InvalidArgument: return "invalid_argument";
    case veilnet::Cause::NotFound: return "not_found";
    case veilnet::Cause::BadData: return "bad_data";
    case veilnet::Cause::AlreadyExists: return "already_exists";
    case veilnet::Cause::Io: return "io";
    case veilnet::Cause::Unsupported: return "unsupported";
    case veilnet::Cause::Other: break;
  }
  return "other";
}

}  // namespace

PYBIND11_MODULE(veilnet, m) {
  m.doc() =
      "Visual protection of pictures: protect, classify, encrypt, verify.\n\n"
      "Pictures are NumPy arrays uint8, (height, width, 3) or (count, height, width, 3), RGB; "
      "other\n"
      "types are refused. What fails raises Error, whose `cause` is a word; memory that is not "
      "there\n"
      "raises MemoryError, and an argument of another kind than an array TypeError. Each "
      "docstring\n"
      "lists the causes.";
  m.attr("__version__") = veilnet::version().substr(0, veilnet::version().find(' '));

  static PyObject* error = nullptr;
  error = py::exception<veilnet::Failure>(m, "Error", PyExc_RuntimeError).release().ptr();
  py::handle(error).attr("__doc__") =
      "Why something failed: the message names the file or argument, the value and what is "
      "allowed;\n"
      "cause is invalid_argument, not_found, bad_data, already_exists, io, unsupported or other.";
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const veilnet::Failure& e) {
      // Paths in it may be no UTF-8.
      const auto what = py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(
          e.what(), static_cast<Py_ssize_t>(std::strlen(e.what())), "backslashreplace"));
      auto instance = py::reinterpret_borrow<py::object>(error)(what);
      instance.attr("cause") = name_of(e.cause());
      PyErr_SetObject(error, instance.ptr());
    }
  });

  // Of every docstring: shapes and ranges, then the cause of each Error.
  py::class_<veilnet::Protector>(m, "Protector",
                                 "A transformation network h: turns plain pictures into protected "
                                 "ones. May be used by several "
                                 "threads at once.")
      .def(py::init([](const std::filesystem::path& model, int threads,
                       const std::string& precision, const std::filesystem::path& codebook) {
             const auto options = options_of(threads, precision, codebook.string());
             return alone([&] { return veilnet::Protector(model.string(), options); });
           }),
           py::arg("model"), py::arg("threads") = 0, py::arg("precision") = "fp32",
           py::arg("codebook") = "",
           R"(model: a model file, or a name that `veilnet models` lists.
threads: of each call; 0 for the physical cores, at most 1024.
precision: "fp32", "bf16" or "int8", which needs a model that `veilnet calibrate` made; a coded
model computes in "fp32" only.
codebook: for a coded model or its encoder, the folder of its pictures (`veilnet export --format
codebook`); else empty.

Error: not_found if there is no such file, name, codebook or picture of it; io if a file cannot be
read; bad_data for a damaged model or codebook and for what is no transformation network;
invalid_argument for threads or a precision that are not allowed, an encoder without its codebook,
and a codebook that is not the model's.)")
      .def_property_readonly(
          "size", [](const veilnet::Protector& h) { return std::pair(h.height(), h.width()); },
          "(height, width) that it was trained and measured on.")
      .def_property_readonly("verdict", &veilnet::Protector::verdict,
                             "What its own training says of it: \"protects: ...\" or \"does not "
                             "protect: ...\"; empty if it was not judged.")
      .def_property_readonly("classifier_sha256", &veilnet::Protector::classifier_sha256,
                             "SHA-256 of the psi that it was trained for; empty where not said.")
      .def(
          "fit",
          [](const veilnet::Protector& h, const py::array& image) {
            const auto plain = to_picture(image);
            return to_array(alone([&] { return h.protect(plain); }));
          },
          py::arg("image"),
          R"(The protected picture of one of any size, scaled and cropped to `size` first: the bytes
of `veilnet protect`, if a large JPEG was read at that size.

image: uint8 (height, width, 3), which is copied. Returns uint8 (*size, 3).

Error: invalid_argument for another type or shape; bad_data if what the network computes is not
finite.)")
      .def(
          "protect",
          [](const veilnet::Protector& h, const py::array& images) {
            return to_pictures(images, [&](auto... pictures) { return h.protect(pictures...); });
          },
          py::arg("images"),
          R"(Protected pictures, at the size that they have.

images: uint8 (count, height, width, 3) or (height, width, 3), count 1 or more; read where it lies
if it is contiguous, else copied. It must not change meanwhile: other threads run. Returns uint8 of
the same shape, with memory of its own.

Error: invalid_argument for another type or shape, no pictures, and a size that the network cannot
take (a coded one takes `size` alone); bad_data if what the network computes is not finite.)");

  py::class_<veilnet::Classifier>(m, "Classifier",
                                  "A classifier psi. May be used by several threads at once.")
      .def(py::init(
               [](const std::filesystem::path& model, int threads, const std::string& precision) {
                 const auto options = options_of(threads, precision);
                 return alone([&] { return veilnet::Classifier(model.string(), options); });
               }),
           py::arg("model"), py::arg("threads") = 0, py::arg("precision") = "fp32",
           R"(model: a model file, or a name that `veilnet models` lists.
threads: of each call; 0 for the physical cores, at most 1024.
precision: "fp32", "bf16" or "int8", which needs a model that `veilnet calibrate` made.

Error: not_found if there is no such file or name; io if it cannot be read; bad_data for a damaged
model and for what is no classifier; invalid_argument for threads or a precision that are not
allowed.)")
      .def_property_readonly(
          "size",
          [](const veilnet::Classifier& psi) { return std::pair(psi.height(), psi.width()); },
          "(height, width) that it was trained on.")
      .def_property_readonly("class_names", &veilnet::Classifier::class_names,
                             "Of the classes, in the order of `logits`.")
      .def(
          "classify",
          [](const veilnet::Classifier& psi, const py::array& image, int top_k) {
            const auto picture = to_picture(image);
            return labels_of(alone([&] { return psi.classify(picture, top_k); }));
          },
          py::arg("image"), py::arg("top_k") = 1,
          R"([(name, probability), ...], the likeliest first, at most top_k.

image: uint8 (height, width, 3), which is copied; another size than `size` is scaled and cropped,
which a protected picture does not survive. Probabilities are softmax, from 0 to 1.

Error: invalid_argument for another type or shape, and top_k below 1; bad_data if a logit is not
finite.)")
      .def(
          "logits",
          [](const veilnet::Classifier& psi, const py::array& array) {
            const auto images = pictures_of(array);
            const auto shape = shape_of(images);
            auto logits =
                unlocked(images, shape, [&](auto... pictures) { return psi.logits(pictures...); });
            const auto classes = static_cast<py::ssize_t>(psi.class_names().size());
            return array_of(std::move(logits), {static_cast<py::ssize_t>(shape.count), classes});
          },
          py::arg("images"),
          R"(float32 (count, classes), of pictures at the size that they have.

images: as for Protector.protect; one picture counts as 1.

Error: invalid_argument for another type or shape, no pictures, and a size that the network cannot
take; bad_data if a logit is not finite.)");

  py::class_<veilnet::Client>(m, "Client",
                              "psi behind a server: pictures are protected here, and nothing else "
                              "is sent. May be used by several threads at once.")
      .def(py::init([](const std::filesystem::path& model, const std::string& server,
                       const std::string& name, const std::string& classifier_sha256,
                       const std::string& api_key, const std::filesystem::path& ca_file,
                       int timeout_ms, int tries, int threads, const std::string& precision,
                       const std::filesystem::path& codebook) {
             const auto options = options_of(threads, precision, codebook.string());
             return alone([&] {
               return veilnet::Client(
                   veilnet::Protector(model.string(), options), server,
                   {name, classifier_sha256, api_key, ca_file.string(), timeout_ms, tries});
             });
           }),
           py::arg("model"), py::arg("server"), py::kw_only(), py::arg("name") = "",
           py::arg("classifier_sha256") = "", py::arg("api_key") = "", py::arg("ca_file") = "",
           py::arg("timeout_ms") = 10'000, py::arg("tries") = 6, py::arg("threads") = 0,
           py::arg("precision") = "fp32", py::arg("codebook") = "",
           R"(Asks the server which psi it has.

model, threads, precision, codebook: h, as for Protector.
server: "https://HOST:PORT", or http where the network is trusted.
name: the model there; the only one that is ready where empty.
classifier_sha256: psi that h was trained for, where its file does not say.
api_key: sent as a bearer token unless empty.
ca_file: PEM that the certificate is checked with; the system's where empty.
timeout_ms: of one try, 1 or more. tries: of a request, 1 or more, with growing waits between.

Error: as Protector; invalid_argument for another server, name or api_key than can be, and where it
is not known which model is meant or which psi h was trained for; bad_data for a psi that h was not
trained for, a certificate that is not trusted, and a server that refuses; io where there is no
answer; unsupported if the module was built without a client.)")
      .def(
          "classify",
          [](const veilnet::Client& client, const py::array& image, int top_k) {
            const auto plain = to_picture(image);
            return labels_of(alone([&] { return client.classify(plain, top_k); }));
          },
          py::arg("image"), py::arg("top_k") = 1,
          R"([(name, probability), ...], the likeliest first; a probability is NaN where the server
does not say it.

image: a plain picture, uint8 (height, width, 3) of any size, which is copied.

Error: invalid_argument for another type or shape, and top_k below 1; io when the server does not
answer; bad_data when it refuses.)")
      .def_property_readonly(
          "warned", &veilnet::Client::warned,
          "Whether the server's leak guard said that a picture looks unprotected.");

  py::class_<veilnet::Cipher>(m, "Cipher",
                              "A conventional scheme with its key: docs/schemes.md says what each "
                              "leaks. May be used by several threads at once.")
      .def_static("generate", &veilnet::Cipher::generate, py::arg("scheme"),
                  py::arg("block_size") = 4,
                  R"(A new key from the operating system.

scheme: "le", "ele", "etc", "pe", ...: `veilnet schemes` lists them.
block_size: side of a block, 1 to 64 pixels; schemes without blocks ignore it.

Error: invalid_argument for another scheme or block size, and a scheme without a key; unsupported
where there are no random numbers.)")
      .def_static(
          "load",
          [](const std::filesystem::path& key_file) {
            return alone([&] { return veilnet::Cipher::load(key_file.string()); });
          },
          py::arg("key_file"),
          R"(A key file, as `save` and `veilnet keygen` write it.

Error: not_found if there is no such file; io if it cannot be read; bad_data if it is no key file or
damaged; unsupported for a later version of the format.)")
      .def(
          "save",
          [](const veilnet::Cipher& cipher, const std::filesystem::path& key_file, bool replace) {
            alone([&] { cipher.save(key_file.string(), replace); });
          },
          py::arg("key_file"), py::arg("replace") = false,
          R"(Writes the key with mode 0600.

Error: already_exists if the file is there, unless replace; io if it cannot be written.)")
      .def_property_readonly("scheme", &veilnet::Cipher::scheme, "\"le\", ...")
      .def_property_readonly("block_size", &veilnet::Cipher::block_size,
                             "Side of a block in pixels.")
      .def_property_readonly("key_id", &veilnet::Cipher::key_id,
                             "16 hexadecimal digits that tell keys apart, and say nothing of them.")
      .def(
          "encrypt",
          [](const veilnet::Cipher& cipher, const py::array& images) {
            return to_pictures(images,
                               [&](auto... pictures) { return cipher.encrypt(pictures...); });
          },
          py::arg("images"),
          R"(Encrypted pictures, uint8 of the same shape.

images: as for Protector.protect; sides are whole blocks, at most 32768.

Error: invalid_argument for another type or shape, no pictures, and sides that are not allowed.)")
      .def(
          "decrypt",
          [](const veilnet::Cipher& cipher, const py::array& images) {
            return to_pictures(images,
                               [&](auto... pictures) { return cipher.decrypt(pictures...); });
          },
          py::arg("images"),
          R"(What `encrypt` was given, uint8 of the same shape.

Error: as encrypt; unsupported if the scheme has no inverse.)");

  m.def(
      "read_picture",
      [](const std::filesystem::path& path, int height, int width) {
        return to_array(alone([&] {
          return height == 0 && width == 0 ? veilnet::read_picture(path.string())
                                           : veilnet::read_picture(path.string(), height, width);
        }));
      },
      py::arg("path"), py::arg("height") = 0, py::arg("width") = 0,
      R"(PNG, JPEG or WebP as uint8 (height, width, 3), turned as its Exif orientation says;
transparency on white. With height and width, from 1, scaled until it covers that size and centre
cropped, as `fit` and the commands do; a JPEG of four times that size or more is then decoded at a
fraction of its own, faster, and within rounding of the whole one.

Error: invalid_argument for one side only or a negative one; not_found if there is no such file; io if it cannot be read; bad_data if it is no picture,
damaged, larger than 64 MB, of more than 64 million pixels or with a side beyond 32768; unsupported
where memory does not suffice.)");
  m.def(
      "write_png",
      [](const std::filesystem::path& path, const py::array& image, bool replace) {
        const auto picture = to_picture(image);
        alone([&] { veilnet::write_png(path.string(), picture, replace); });
      },
      py::arg("path"), py::arg("image"), py::arg("replace") = false,
      R"(Writes a PNG without notes, whole or not at all.

image: uint8 (height, width, 3), which is copied.

Error: invalid_argument for another type or shape; already_exists if the file is there, unless
replace; io if it cannot be written.)");
  m.def(
      "verify",
      [](const veilnet::Protector& h, const py::array& plain, const py::array& seen) {
        const auto of = to_picture(plain), is = to_picture(seen);
        const auto found = alone([&] { return veilnet::verify(h, of, is); });
        py::dict out;
        out["ssim"] = found.ssim;
        out["difference_levels"] = found.difference_levels;
        out["of_this_model"] = found.of_this_model;
        return out;
      },
      py::arg("h"), py::arg("plain"), py::arg("seen"),
      R"(Did it work? A dict of ssim, from -1 to 1, of the protected picture with the plain one as h
saw it (0 below 7x7); difference_levels, from 0 to 255, the mean difference from what h makes of the
plain one; of_this_model, whether that is no more than rounding (0.25).

plain, seen: uint8 (height, width, 3), which are copied; seen is of the size of h, or of plain where
that was protected at its own.

Error: invalid_argument for another type, shape or size; bad_data as Protector.protect.)");
}
