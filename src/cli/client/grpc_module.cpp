#include "cli/client/grpc_module.h"

#include <dlfcn.h>
#include <filesystem>
#include <system_error>

#include "core/error.h"

namespace veilnet::cli {

namespace fs = std::filesystem;

std::unique_ptr<rpc::Server> grpc_server(const rpc::Services& services,
                                         const rpc::ServerOptions& options) {
  constexpr const char* kModule = "veilnet-grpc.so";
  std::error_code ignored;
  const auto folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  auto file = folder / kModule;
  if (!fs::exists(file, ignored)) file = folder / VEILNET_MODULES / kModule;
  if (!fs::exists(file, ignored))
    fail(ErrorCode::Unsupported,
         "gRPC needs {}, which is neither beside this program nor in {}: install the package "
         "veilnet-grpc, or build with gRPC (docs/building.md)",
         kModule, file.parent_path().lexically_normal().string());
  // Never unloaded: gRPC's threads outlive its servers.
  void* module = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!module) fail(ErrorCode::Unsupported, "{}: {}", file.string(), ::dlerror());
  auto* make = reinterpret_cast<rpc::MakeServer*>(::dlsym(module, rpc::kMakeServer));
  if (!make) fail(ErrorCode::Unsupported, "{}: is no module of this veilnet", file.string());
  return make(services, options);
}

}  // namespace veilnet::cli
