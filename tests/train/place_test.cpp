#include "train/place.h"

#include <map>

#include "support.h"

namespace veilnet::train {
namespace {

using Variables = std::map<std::string, std::string>;

Place place_of(const Variables& variables, const Cores& cores = {8, 8}) {
  return place_from(
      [&](const char* name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        if (found == variables.end()) return std::nullopt;
        return found->second;
      },
      cores);
}

void expect_place(const Variables& variables, int rank, int size, int share,
                  const std::string& host, int port) {
  const auto place = place_of(variables);
  EXPECT_EQ(place.rank, rank);
  EXPECT_EQ(place.size, size);
  EXPECT_EQ(place.share, share);
  EXPECT_EQ(place.host, host);
  EXPECT_EQ(place.port, port);
}

TEST(Place, IsAloneWhereNobodySaysOtherwise) { expect_place({}, 0, 1, 1, "", 29500); }

TEST(Place, ReadsTorchrun) {
  expect_place({{"RANK", "3"},
                {"WORLD_SIZE", "4"},
                {"LOCAL_RANK", "1"},
                {"LOCAL_WORLD_SIZE", "2"},
                {"MASTER_ADDR", "10.0.0.1"},
                {"MASTER_PORT", "1234"}},
               3, 4, 2, "10.0.0.1", 1234);
}

TEST(Place, TakesTheStoreThatTorchrunKeeps) {
  Variables variables{{"RANK", "0"}, {"WORLD_SIZE", "1"}, {"MASTER_ADDR", "10.0.0.1"}};
  EXPECT_FALSE(place_of(variables).store_is_there);
  variables["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  variables["TORCHELASTIC_RESTART_COUNT"] = "2";
  EXPECT_TRUE(place_of(variables).store_is_there);
  EXPECT_EQ(place_of(variables).attempt, 2);
}

TEST(Place, ReadsMpirun) {
  Variables variables{{"OMPI_COMM_WORLD_RANK", "1"},
                      {"OMPI_COMM_WORLD_SIZE", "2"},
                      {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};
  expect_place(variables, 1, 2, 2, "127.0.0.1", 29500);
  variables["MASTER_ADDR"] = "node1";
  expect_place(variables, 1, 2, 2, "node1", 29500);
  variables["OMPI_COMM_WORLD_LOCAL_SIZE"] = "1";
  variables.erase("MASTER_ADDR");
  test::expect_error(ErrorCode::InvalidArgument, {"2 processes", "MASTER_ADDR"},
                     [&] { place_of(variables); });
}

TEST(Place, SharesTheCoresThatMpirunLeavesToSeveral) {
  const auto share = [](const char* here, const Cores& cores) {
    const Variables variables{{"OMPI_COMM_WORLD_RANK", "1"},
                              {"OMPI_COMM_WORLD_SIZE", "4"},
                              {"OMPI_COMM_WORLD_LOCAL_SIZE", here},
                              {"MASTER_ADDR", "node1"}};
    return place_of(variables, cores).share;
  };
  EXPECT_EQ(share("4", {.own = 16, .machine = 16}), 4) << "confined to nothing";
  EXPECT_EQ(share("4", {.own = 8, .machine = 16}), 2) << "to one of two sockets";
  EXPECT_EQ(share("4", {.own = 4, .machine = 16}), 1) << "to a part of its own";
  EXPECT_EQ(share("4", {.own = 1, .machine = 16}), 1) << "to a core";
  EXPECT_EQ(share("1", {.own = 16, .machine = 16}), 1) << "the others are on other machines";
}

TEST(Place, ReadsSrunButNotABatchScriptOfSlurm) {
  Variables variables{{"SLURM_PROCID", "5"},
                      {"SLURM_NTASKS", "8"},
                      {"SLURM_JOB_ID", "120034"},
                      {"SLURM_JOB_NODELIST", "gpu[03-05,9],login1"}};
  expect_place(variables, 0, 1, 1, "", 29500);
  variables["SLURM_STEP_ID"] = "0";
  expect_place(variables, 5, 8, 1, "gpu03", 20034);
  variables["SLURM_STEP_NODELIST"] = "cpu7";
  variables["MASTER_PORT"] = "4000";
  expect_place(variables, 5, 8, 1, "cpu7", 4000);
}

TEST(Place, NamesTheFirstNode) {
  EXPECT_EQ(first_node("a1"), "a1");
  EXPECT_EQ(first_node("a1,b[2-3]"), "a1");
  EXPECT_EQ(first_node("b[2-3],a1"), "b2");
  EXPECT_EQ(first_node("b[07,9]"), "b07");
  EXPECT_EQ(first_node("b["), "");
}

TEST(Place, RefusesHalfAPlaceAndWhatIsNoNumber) {
  const auto refused = [](const Variables& variables, std::initializer_list<std::string> parts) {
    test::expect_error(ErrorCode::InvalidArgument, parts, [&] { place_of(variables); });
  };
  refused({{"RANK", "0"}}, {"RANK is set", "WORLD_SIZE is not"});
  refused({{"WORLD_SIZE", "2"}}, {"WORLD_SIZE is set", "RANK is not"});
  refused({{"RANK", "2"}, {"WORLD_SIZE", "2"}}, {"RANK is \"2\"", "0 to 1"});
  refused({{"RANK", "0"}, {"WORLD_SIZE", "two"}}, {"WORLD_SIZE is \"two\"", "1 to 4096"});
  refused({{"RANK", "0"}, {"WORLD_SIZE", "2"}}, {"MASTER_ADDR"});
  refused({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "70000"}},
          {"MASTER_PORT is \"70000\"", "65535"});
}

}  // namespace
}  // namespace veilnet::train
