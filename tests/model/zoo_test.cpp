#include "model/zoo.h"

#include "core/files.h"
#include "core/hash.h"
#include "support.h"

namespace veilnet::model {
namespace {

// A folder with one file and an index that lists it; `change` edits the index's text.
struct Zoo {
  test::TemporaryFolder place;

  explicit Zoo(const std::string& from = "", const std::string& to = "") {
    write_file(place / "a.safetensors", std::string_view("weights"), Overwrite::No);
    std::string index =
        R"({"format": "veilnet-models", "format_version": 1, "models": [{"name": "a",)"
        R"( "file": "a.safetensors", "sha256": "SHA", "role": "transform", "text": "a model",)"
        R"( "licence": "Apache-2.0", "record": "results/a.json", "figures": {"accuracy": 0.5}}]})";
    index.replace(index.find("SHA"), 3, sha256_file(place / "a.safetensors"));
    if (!from.empty()) index.replace(index.find(from), from.size(), to);
    write_file(place / "index.json", index, Overwrite::No);
  }
};

TEST(Zoo, ListsModelsAndChecksTheirFiles) {
  const Zoo folder;
  const auto models = zoo(folder.place.path());
  ASSERT_EQ(models.size(), 1u);
  EXPECT_EQ(models[0].name, "a");
  EXPECT_EQ(models[0].role, Role::Transform);
  EXPECT_EQ(models[0].figures.at("accuracy"), 0.5);
  EXPECT_EQ(checked(folder.place.path(), models[0]), folder.place / "a.safetensors");
  write_file(folder.place / "a.safetensors", std::string_view("other"), Overwrite::Yes);
  test::expect_error(ErrorCode::BadData, {"a.safetensors", "SHA-256", "index.json"},
                     [&] { checked(folder.place.path(), models[0]); });
  EXPECT_TRUE(zoo("").empty());
}

TEST(Zoo, RefusesAnIndexThatIsNone) {
  const struct {
    const char *from, *to, *says;
  } kinds[] = {{"veilnet-models", "models", "format"},
               {"\"format_version\": 1", "\"format_version\": 2", "format_version 1"},
               {"a.safetensors", "../a.safetensors", "../a.safetensors"},
               {"a.safetensors", "/etc/passwd", "/etc/passwd"},
               {"transform", "teacher", "teacher"},
               {"\"name\": \"a\"", "\"name\": 1", "name"},
               {"0.5", "\"half\"", "figures"},
               {"{\"accuracy\": 0.5}}]", "{}}, 7]", "no object"}};
  for (const auto& kind : kinds) {
    const Zoo folder(kind.from, kind.to);
    test::expect_error(ErrorCode::BadData, {"index.json", kind.says},
                       [&] { zoo(folder.place.path()); });
  }
}

// The models of the tree are the ones that its index describes.
TEST(Zoo, TheTreesModelsAreWhatTheIndexSays) {
  const std::filesystem::path folder = "models";
  ASSERT_TRUE(std::filesystem::exists(folder / "index.json"));
  std::uintmax_t total = 0;
  for (const auto& model : zoo(folder)) {
    EXPECT_NO_THROW(checked(folder, model)) << model.name;
    const auto size = std::filesystem::file_size(folder / model.file);
    EXPECT_LT(size, 10u << 20) << model.name;
    total += size;
  }
  EXPECT_GT(total, 0u);
  EXPECT_LT(total, 40u << 20);
}

}  // namespace
}  // namespace veilnet::model
