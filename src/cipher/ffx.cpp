#include <array>

#include "cipher/explicit_key.h"
#include "cipher/parts.h"

namespace veilnet::cipher {

namespace {

/// out[i] = table[in[i]] where selected.
class Substitute final : public Scheme {
 public:
  Substitute(const Properties& properties, const FfxKey& key)
      : Scheme(properties),
        selected_(repeat_block(key.selected, key.block_size, properties.height, properties.width)) {
    for (unsigned v = 0; v < 256; ++v) {
      encrypt_[0][v] = decrypt_[0][v] = static_cast<std::uint8_t>(v);
      encrypt_[1][v] = key.table[v];
      decrypt_[1][key.table[v]] = static_cast<std::uint8_t>(v);
    }
  }

 private:
  using Tables = std::array<std::array<std::uint8_t, 256>, 2>;

  void run(const Tables& tables, const std::uint8_t* in, std::uint8_t* out) const {
    for (std::size_t i = 0; i < selected_.size(); ++i) out[i] = tables[selected_[i]][in[i]];
  }
  void forward(const std::uint8_t* plain, std::uint8_t* cipher) const override {
    run(encrypt_, plain, cipher);
  }
  void backward(const std::uint8_t* cipher, std::uint8_t* plain) const override {
    run(decrypt_, cipher, plain);
  }

  std::vector<std::uint8_t> selected_;
  Tables encrypt_, decrypt_;
};

}  // namespace

FfxKey draw_ffx(const Key& key, int block_size) {
  KeyStream stream(key, Purpose::BlockKeys);
  auto selected = draw_half(stream, values_of(block_size));
  return {block_size, std::move(selected), stream.permutation<std::uint8_t>(256)};
}

std::unique_ptr<Scheme> make_scheme(const FfxKey& key, int height, int width) {
  check_geometry(height, width, key.block_size);
  const auto values = values_of(key.block_size);
  check_below("the FFX key's selection", key.selected, values, 2);
  check_permutation("the FFX key's table", std::span(key.table), 256);
  const double bits = log2_halves(static_cast<double>(values)) + log2_factorial(256);
  return std::make_unique<Substitute>(Scheme::Properties{height, width, key.block_size, true, bits},
                                      key);
}

void ref_encrypt(const FfxKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher) {
  by_blocks(height, width, key.block_size, plain, cipher, {},
            [&](std::size_t, std::vector<std::uint8_t> block) {
              for (std::size_t i = 0; i < block.size(); ++i)
                if (key.selected[i]) block[i] = key.table[block[i]];
              return block;
            });
}

namespace spec {
SchemeSpec ffx() {
  constexpr auto draw = [](const SchemeOptions& options, const Key& key, int, int) {
    return draw_ffx(key, options.block_size);
  };
  return {.id = "ffx",
          .text = "replaces half of the values by a secret table, alike in every block",
          .source = "arXiv 2010.00801",
          .key_scope = KeyScope::Block,
          .blocks = true,
          .structure = {.substitutes = true},
          .adaptation = "le",
          .make = make_drawn<draw>,
          .reference = ref_drawn<draw>};
}
}  // namespace spec

}  // namespace veilnet::cipher
