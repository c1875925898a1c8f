#include "train/place.h"

#include <charconv>
#include <cstdlib>

#include "core/error.h"

namespace veilnet::train {
namespace {

constexpr int kMostProcesses = 4096, kDefaultPort = 29500;

std::optional<int> number(const Environment& environment, const char* name, int least, int most) {
  const auto text = environment(name);
  if (!text) return std::nullopt;
  int value = 0;
  const auto* end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc() || stop != end || value < least || value > most)
    fail(ErrorCode::InvalidArgument, "{} is \"{:.40}\"; allowed: a whole number from {} to {}",
         name, *text, least, most);
  return value;
}

// Reads both or none. @return whether they are set.
bool read_pair(const Environment& environment, const char* rank, const char* size, Place& place) {
  const bool has_rank = environment(rank).has_value(), has_size = environment(size).has_value();
  if (!has_rank && !has_size) return false;
  if (has_rank != has_size)
    fail(ErrorCode::InvalidArgument, "{} is set and {} is not; both are needed, or neither",
         has_rank ? rank : size, has_rank ? size : rank);
  place.size = *number(environment, size, 1, kMostProcesses);
  place.rank = *number(environment, rank, 0, place.size - 1);
  return true;
}

}  // namespace

Environment environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (!value) return std::nullopt;
    return value;
  };
}

std::string first_node(const std::string& nodes) {
  const auto bracket = nodes.find('['), comma = nodes.find(',');
  if (bracket >= comma) return nodes.substr(0, comma);
  const auto end = nodes.find_first_of(",-]", bracket);
  if (end == std::string::npos) return "";
  return nodes.substr(0, bracket) + nodes.substr(bracket + 1, end - bracket - 1);
}

Place place_from(const Environment& environment, const Cores& cores) {
  Place place;
  int port = kDefaultPort;
  if (read_pair(environment, "RANK", "WORLD_SIZE", place)) {
    place.share = number(environment, "LOCAL_WORLD_SIZE", 1, place.size).value_or(1);
    place.store_is_there = environment("TORCHELASTIC_USE_AGENT_STORE") == "True";
    place.attempt = number(environment, "TORCHELASTIC_RESTART_COUNT", 0, 1'000'000).value_or(0);
  } else if (read_pair(environment, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", place)) {
    const auto here = number(environment, "OMPI_COMM_WORLD_LOCAL_SIZE", 1, place.size);
    if (here == place.size) place.host = "127.0.0.1";
    // Of those that cover the machine evenly, as many have the cores of this one.
    place.share = (cores.own * here.value_or(1) + cores.machine - 1) / cores.machine;
  } else if (environment("SLURM_STEP_ID") &&
             read_pair(environment, "SLURM_PROCID", "SLURM_NTASKS", place)) {
    place.host = first_node(environment("SLURM_STEP_NODELIST")
                                .value_or(environment("SLURM_JOB_NODELIST").value_or("")));
    if (const auto job = number(environment, "SLURM_JOB_ID", 0, 2'000'000'000))
      port = 20000 + *job % 10000;
  }
  place.port =
      static_cast<std::uint16_t>(number(environment, "MASTER_PORT", 1, 65535).value_or(port));
  if (const auto host = environment("MASTER_ADDR"); host && !host->empty()) place.host = *host;
  if (place.size > 1 && place.host.empty())
    fail(ErrorCode::InvalidArgument,
         "there are {} processes and MASTER_ADDR is not set; it is the name or address of the "
         "machine of process 0",
         place.size);
  return place;
}

}  // namespace veilnet::train
