// Model cards: what a model's file says about itself. The input is lines of key=value.
#include <nlohmann/json.hpp>

#include "core/safetensors.h"
#include "core/text.h"
#include "fuzz.h"
#include "model/model.h"

using namespace veilnet;

namespace {

std::vector<std::uint8_t> file_of(const std::map<std::string, std::string>& metadata) {
  const auto header = nlohmann::json{{"__metadata__", metadata}}.dump();
  std::vector<std::uint8_t> bytes(8);
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(header.size() >> 8 * i);
  bytes.insert(bytes.end(), header.begin(), header.end());
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto text = fuzz::text_of({data, size});
  std::map<std::string, std::string> metadata{{"format", "veilnet-model"}, {"format_version", "1"}};
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (const auto equals = line.find('='); equals != line.npos)
      metadata[as_utf8(line.substr(0, equals))] = as_utf8(line.substr(equals + 1));
  }
  fuzz::try_parse([&] {
    const auto file = Safetensors::parse(file_of(metadata), "x.safetensors");
    const auto card = model::card_of(file);
    const auto written = model::to_metadata(card);
    const auto again = Safetensors::parse(file_of(written), "again.safetensors");
    fuzz::require(model::to_metadata(model::card_of(again)) == written,
                  "a card that was written is read as it was");
    const auto graph = model::make_graph(card);
    fuzz::require(!model::describe(card).empty(), "a model has a name");
    fuzz::try_parse([&] { model::padded_shape(graph, card.height, card.width); });
    fuzz::try_parse(
        [&] { model::check_tensors(file.name(), file.tensors(), graph.tensors(), false); });
  });
  return 0;
}
