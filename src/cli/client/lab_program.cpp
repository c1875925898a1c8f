#include "cli/client/lab_program.h"

#include <filesystem>
#include <system_error>
#include <unistd.h>

namespace veilnet::cli {

std::string lab_program() {
  std::error_code cause;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", cause);
  const auto beside = self.parent_path() / "veilnet-lab";
  return !cause && ::access(beside.c_str(), X_OK) == 0 ? beside.string() : "veilnet-lab";
}

}  // namespace veilnet::cli
