// Experiment configurations, and overrides from the command line.
#include "core/config.h"

#include "fuzz.h"

using namespace veilnet;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of({data, size});
  fuzz::try_parse([&] {
    auto config = Config::parse(text, "x.toml");
    fuzz::try_parse([&] { config.get_int("train.epochs", 1, 1, 1000); });
    fuzz::try_parse([&] { config.get_double("a", 1, 0, 10); });
    fuzz::try_parse([&] { config.get_doubles("b", {}, 0, 10); });
    fuzz::try_parse([&] { config.get_strings("c.d", {}); });
    fuzz::try_parse([&] { config.get_string("name", ""); });
    const auto resolved = config.resolved_toml();
    auto again = Config::parse(resolved, "resolved.toml");  // what is written is read again
    again.get_int("train.epochs", 1, 1, 1000);
    again.get_string("name", "");
    fuzz::try_parse([&] { config.refuse_unknown(); });
  });
  fuzz::try_parse([&] {
    Config config;
    config.set(text);
  });
  return 0;
}
