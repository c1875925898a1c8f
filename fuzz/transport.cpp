// What happens to pictures on their way, as the command line has it.
#include "image/transport.h"

#include "fuzz.h"

using namespace veilnet;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::try_parse([&] {
    const auto transport = image::transport_from(fuzz::text_of({data, size}));
    fuzz::require(image::transport_from(image::to_text(transport)) == transport,
                  "what is written is read again");
  });
  return 0;
}
