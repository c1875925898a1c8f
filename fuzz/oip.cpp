// Bodies of infer requests. The first line of the input is Inference-Header-Content-Length, or
// empty; the rest is the body.
#include "service/oip.h"

#include <charconv>

#include "fuzz.h"

using namespace veilnet;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of({data, size});
  const auto line = text.substr(0, text.find('\n'));
  std::optional<std::uint64_t> json_bytes;
  std::uint64_t value = 0;
  if (const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
      error == std::errc() && end == line.data() + line.size())
    json_bytes = value;
  const auto begin = std::min(line.size() + 1, size);
  // Pictures of 2x1, so that whole requests are short.
  const service::ModelForm form{2, 1, {"cat", "dog"}, {2, 2}};
  fuzz::try_parse([&] {
    const auto request = service::read_infer({data + begin, data + size}, json_bytes, form);
    const auto count = static_cast<std::size_t>(request.pictures.count);
    fuzz::require(count >= 1 && count <= 1024, "the number of pictures is within the limits");
    fuzz::require(request.pictures.pixels_nhwc.size() == count * 6, "every picture is whole");
    std::uint64_t sum = 0;
    for (const auto byte : request.pictures.pixels_nhwc) sum += byte;  // all of it can be read
    fuzz::require(sum <= 255 * count * 6, "pixels are bytes");
    const std::vector<float> logits(count * 2, 1.0f);
    const auto answer = service::write_infer(request, logits, form, "m", 1);
    const auto json = nlohmann::json::parse(
        answer.body.substr(0, answer.json_bytes.value_or(answer.body.size())));
    fuzz::require(json["outputs"].size() == request.outputs.size(), "every output is answered");
  });
  return 0;
}
