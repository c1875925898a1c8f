// Which of the processes that train together this one is, as who started them says it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace veilnet::train {

/// One of `size` processes. Process 0 keeps the store where the others meet, at host and port,
/// unless who started them does.
struct Place {
  int rank = 0, size = 1;
  /// How many of them share this machine and its cores without being confined to some; 1 where
  /// nobody says.
  int share = 1;
  std::string host;
  std::uint16_t port = 0;
  bool store_is_there = false;
  int attempt = 0;  ///< how often the launcher began anew
};

/// Physical cores: those that this process may run on, and the machine's.
struct Cores {
  int own = 1, machine = 1;
};

/// The value of an environment variable, or nothing.
using Environment = std::function<std::optional<std::string>(const char* name)>;
Environment environment();

/// Reads, in this order, the variables of
/// - torchrun: RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, TORCHELASTIC_USE_AGENT_STORE,
///   TORCHELASTIC_RESTART_COUNT;
/// - mpirun (Open MPI): OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE, OMPI_COMM_WORLD_LOCAL_SIZE: it
///   may confine a process to a core, to the cores of a socket, which others have as well, or not;
/// - srun: SLURM_PROCID, SLURM_NTASKS, within a step only (SLURM_STEP_ID): a batch script that
///   starts one process has the others as well.
/// MASTER_ADDR and MASTER_PORT say where process 0 is. Without MASTER_ADDR it is the first of
/// Slurm's nodes, or this machine where mpirun started all of them here; without MASTER_PORT,
/// 29500, or of a Slurm job one that follows from its number, so that two jobs on a node do not
/// meet. One process where none of them is set.
/// @throws Error{InvalidArgument} for a number that is none or out of range, one of a pair without
/// the other, and several processes without an address.
Place place_from(const Environment& environment, const Cores& cores = {});

/// The first of a list of nodes as Slurm writes it: "gpu[03-05,9],login1" -> "gpu03".
std::string first_node(const std::string& nodes);

}  // namespace veilnet::train
