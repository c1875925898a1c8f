// Records of what was measured, and JSON at large.
#include <nlohmann/json.hpp>

#include "core/json_file.h"
#include "fuzz.h"
#include "record/io.h"

using namespace veilnet;

namespace {

/// What is written is read again, and then written equally.
template <class Record>
void round_trip(std::string_view text) {
  fuzz::try_parse([&] {
    const auto written = record::to_json(record::from_json<Record>(text, "x.json"));
    const auto again = record::to_json(record::from_json<Record>(written, "again.json"));
    fuzz::require(written == again, "a record that was written is read as it was");
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of({data, size});
  fuzz::try_parse([&] {
    const auto value = parse_json(text, "x.json");
    fuzz::require(nlohmann::json::parse(text) == value, "it is what the library reads");
  });
  round_trip<record::Matrix>(text);
  round_trip<record::Result>(text);
  return 0;
}
