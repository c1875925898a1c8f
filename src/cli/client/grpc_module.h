// Finding and loading the module that serves gRPC.
#pragma once

#include <memory>

#include "rpc/server.h"

namespace veilnet::cli {

/// rpc::make_server of veilnet-grpc.so, which lies beside this program or where both are installed.
/// @throws Error{Unsupported} where there is none or it cannot be loaded, and as rpc::make_server.
std::unique_ptr<rpc::Server> grpc_server(const rpc::Services& services,
                                         const rpc::ServerOptions& options);

}  // namespace veilnet::cli
