// Speed of the keyed schemes on one thread, on every instruction set that this machine has, beside
// memcpy on the same buffers.
//
// usage: cipher_bench export FILE    key material, plain and encrypted pictures (safetensors) for
// cipher_numpy.py to check against
//        cipher_bench measure        one JSON object on standard output: {"bytes": of the batch,
//        "memcpy": [seconds, ...], "seconds": {instruction set: {scheme: [seconds, ...]}}}
//
// bench/run-cipher.sh runs both this and the NumPy version. Every scheme is compared with its plain
// version first, on every instruction set.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>

#include <nlohmann/json.hpp>

#include "cipher/explicit_key.h"
#include "cipher/scheme.h"
#include "core/cpu.h"
#include "core/error.h"
#include "core/random.h"
#include "core/safetensors.h"

namespace {

using namespace veilnet;
using namespace veilnet::cipher;
using Bytes = std::vector<std::uint8_t>;

constexpr int kSide = 32, kBlock = 4;
constexpr std::size_t kBlocks = 64, kPictures = 4000,
                      kBytes = 3 * kSide * kSide;  // 12 MB: beyond the second-level cache
constexpr int kRepetitions = 7;

struct Keys {
  Key key = key_from_seed(1);
  LeKey le = draw_le(key, kBlock);
  EleKey ele = draw_ele(key, kBlock, kBlocks);
  EtcKey etc = draw_etc(key, kBlock, kBlocks, false);
  PeKey pe = draw_pe(key, kBytes / 3, false);
  PeKey pe_shuffled = draw_pe(key, kBytes / 3, true);
  PixelShuffleKey pixel_shuffle = draw_pixel_shuffle(key, kBlock);
};

Bytes noise_pictures() {
  Random random(1);
  Bytes pictures(kPictures * kBytes);
  for (auto& value : pictures) value = static_cast<std::uint8_t>(random.next());
  return pictures;
}

template <class AnyKey>
Bytes checked(const AnyKey& key, const Bytes& plain) {
  Bytes expected(plain.size()), back(kBytes);
  for (std::size_t at = 0; at < plain.size(); at += kBytes)
    ref_encrypt(key, kSide, kSide, std::span(plain).subspan(at, kBytes),
                std::span(expected).subspan(at, kBytes));
  for (const auto level : simd_levels()) {
    force_simd(level);
    Bytes fast(plain.size());
    const auto scheme = make_scheme(key, kSide, kSide);
    encrypt_all(*scheme, plain, fast);
    if (fast != expected)
      fail(ErrorCode::BadData, "cipher_bench: the code for {} differs from the plain version",
           simd_name(level));
    for (std::size_t at = 0; at < plain.size(); at += kBytes) {
      scheme->decrypt(std::span(fast).subspan(at, kBytes), back);
      if (!std::equal(back.begin(), back.end(), plain.begin() + static_cast<std::ptrdiff_t>(at)))
        fail(ErrorCode::BadData,
             "cipher_bench: what the code for {} decrypts is not the plain "
             "picture",
             simd_name(level));
    }
  }
  return expected;
}

template <class T>
std::span<const std::uint8_t> bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(T)};
}

void export_vectors(const char* path) {
  const Keys keys;
  const auto plain = noise_pictures();
  const auto le = checked(keys.le, plain), ele = checked(keys.ele, plain),
             etc = checked(keys.etc, plain);
  const auto pe = checked(keys.pe, plain), pe_shuffled = checked(keys.pe_shuffled, plain);
  const auto pixel_shuffle = checked(keys.pixel_shuffle, plain);
  const std::vector<std::int64_t> nhwc = {kPictures, kSide, kSide, 3};
  const std::vector<std::int32_t> le_key(keys.le.permutation.begin(), keys.le.permutation.end());
  const std::vector<std::int32_t> ele_keys(keys.ele.permutations.begin(),
                                           keys.ele.permutations.end());
  const std::vector<std::int32_t> pixel_key(keys.pixel_shuffle.permutation.begin(),
                                            keys.pixel_shuffle.permutation.end());
  const TensorView tensors[] = {
      {"plain", DType::U8, nhwc, plain},
      {"le", DType::U8, nhwc, le},
      {"ele", DType::U8, nhwc, ele},
      {"etc", DType::U8, nhwc, etc},
      {"pe", DType::U8, nhwc, pe},
      {"pe_shuffled", DType::U8, nhwc, pe_shuffled},
      {"pixel_shuffle", DType::U8, nhwc, pixel_shuffle},
      {"pixel_shuffle_key", DType::I32, {48}, bytes_of(pixel_key)},
      {"le_key", DType::I32, {96}, bytes_of(le_key)},
      {"ele_keys", DType::I32, {64, 96}, bytes_of(ele_keys)},
      {"ele_location", DType::I32, {64}, bytes_of(keys.ele.location)},
      {"etc_rotation", DType::U8, {64}, keys.etc.rotation},
      {"etc_negative", DType::U8, {64}, keys.etc.negative},
      {"etc_flip", DType::U8, {64}, keys.etc.flip},
      {"etc_colour", DType::U8, {64}, keys.etc.colour},
      {"etc_location", DType::I32, {64}, bytes_of(keys.etc.location)},
      {"pe_negate", DType::U8, {kSide, kSide, 3}, keys.pe.negate},
      {"pe_shuffle", DType::U8, {kSide, kSide}, keys.pe_shuffled.shuffle},
  };
  save_safetensors(path, tensors, {}, Overwrite::Yes);
}

using Runs = std::map<std::string, std::function<void()>>;

Runs runs_of(const Keys& keys, const Bytes& plain, Bytes& out) {
  const std::map<std::string, std::shared_ptr<Scheme>> schemes = {
      {"le", make_scheme(keys.le, kSide, kSide)},
      {"ele", make_scheme(keys.ele, kSide, kSide)},
      {"etc", make_scheme(keys.etc, kSide, kSide)},
      {"pe", make_scheme(keys.pe, kSide, kSide)},
      {"pe_shuffled", make_scheme(keys.pe_shuffled, kSide, kSide)},
      {"pixel_shuffle", make_scheme(keys.pixel_shuffle, kSide, kSide)},
      {"vit", make_scheme({.id = "vit"}, keys.key, kSide, kSide)},
      {"bit_flip", make_scheme({.id = "bit-flip"}, keys.key, kSide, kSide)},
      {"ffx", make_scheme({.id = "ffx"}, keys.key, kSide, kSide)},
      {"le_block8", make_scheme({.id = "le", .block_size = 8}, keys.key, kSide, kSide)},
      {"etc_block8", make_scheme({.id = "etc", .block_size = 8}, keys.key, kSide, kSide)},
  };
  Runs runs;
  for (const auto& [name, scheme] : schemes)
    runs[name] = [&plain, &out, scheme = scheme] { encrypt_all(*scheme, plain, out); };
  // A key of its own for every picture: what the schemes cost with their preparation.
  for (const auto* id : {"le", "ele", "etc", "pe"}) {
    runs[std::string(id) + "_own_keys"] = [&plain, &out, &keys, id] {
      for (std::size_t i = 0; i < kPictures; ++i) {
        const auto scheme = make_scheme({.id = id}, derive_key(keys.key, i), kSide, kSide);
        scheme->encrypt(std::span(plain).subspan(i * kBytes, kBytes),
                        std::span(out).subspan(i * kBytes, kBytes));
      }
    };
  }
  return runs;
}

double seconds_of(const std::function<void()>& run) {
  run();  // so that each finds the caches as it leaves them itself
  const auto begin = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void measure() {
  const Keys keys;
  const auto plain = noise_pictures();
  Bytes out(plain.size());
  std::map<Simd, Runs> runs;
  for (const auto level : simd_levels()) {
    force_simd(level);
    runs[level] = runs_of(keys, plain, out);
  }
  std::vector<double> memcpy_seconds;
  std::map<std::string, std::map<std::string, std::vector<double>>> seconds;
  // Round by round, so that what disturbs the machine disturbs all alike.
  for (int round = 0; round < kRepetitions; ++round) {
    for (const auto& [level, of_level] : runs) {
      memcpy_seconds.push_back(
          seconds_of([&] { std::memcpy(out.data(), plain.data(), plain.size()); }));
      force_simd(level);
      for (const auto& [name, run] : of_level)
        seconds[std::string(simd_name(level))][name].push_back(seconds_of(run));
    }
  }
  const nlohmann::json record = {
      {"bytes", plain.size()}, {"memcpy", memcpy_seconds}, {"seconds", seconds}};
  std::cout << record.dump() << "\n";
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  try {
    if (command == "export" && argc == 3) return export_vectors(argv[2]), 0;
    if (command == "measure" && argc == 2) return measure(), 0;
  } catch (const std::exception& e) {
    std::cerr << e.what() << "\n";
    return 1;
  }
  std::cerr << "usage: cipher_bench export FILE | measure\n";
  return 2;
}
