#include "protection/protection.h"

namespace veilnet::protection {

std::string_view keys_name(Keys keys) {
  switch (keys) {
    case Keys::None: return "none";
    case Keys::Same: return "same";
    case Keys::Independent: return "independent";
  }
  return {};
}

}  // namespace veilnet::protection
