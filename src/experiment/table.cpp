#include "experiment/table.h"

#include <algorithm>
#include <functional>
#include <spdlog/spdlog.h>

#include "core/error.h"
#include "experiment/matrix.h"
#include "record/io.h"
#include "record/papers.h"
#include "record/result.h"

namespace veilnet::experiment {
namespace {

struct TableRow {
  std::string name;
  bool network = false;                         // h, or the GAN-based transformation
  std::function<void(const Workspace&)> train;  // what is missing
  std::function<record::Matrix(const Workspace&)> measure;
};

std::vector<TableRow> rows_of(const Experiment& e) {
  std::vector<TableRow> rows;
  for (const auto& name : e.table1_rows) {
    if (name == "plain") {
      rows.push_back({name, false,
                      [&e](const Workspace& w) { train_classifier(e, w, Mode::Complete); },
                      [&e](const Workspace& w) { return evaluate_plain(e, w); }});
    } else if (name == "transform") {
      for (const auto& point : e.points())
        rows.push_back({point.transform_label(), true,
                        [point](const Workspace& w) {
                          const auto psi = train_classifier(point, w, Mode::Complete);
                          train_transform(point, w, psi, Mode::Complete);
                        },
                        [point](const Workspace& w) { return evaluate_transform(point, w); }});
    } else {
      rows.push_back(
          {name, name == "gan",
           [point = e.at_scheme(name, "plain, transform")](const Workspace& w) {
             if (point.scheme.options.id == "gan")
               train_gan(point, w, train_classifier(point, w, Mode::Complete), Mode::Complete);
             else
               train_scheme(point, w, Mode::Complete);
           },
           [point = e.at_scheme(name)](const Workspace& w) { return evaluate_scheme(point, w); }});
    }
  }
  return rows;
}

}  // namespace

std::vector<record::Result> reproduce_table1(Experiment e, const std::filesystem::path& results,
                                             bool anew) {
  std::vector<record::Result> records;
  rows_of(e);  // refuses unknown ones before the data is read, and fits nothing yet
  const auto w = open_workspace(e);
  const auto rows = rows_of(e);
  const auto name_of = [&](const TableRow& row) {
    return "table1-" + e.data.source + "-" + row.name;
  };
  const auto path_of = [&](const TableRow& row) { return results / (name_of(row) + ".json"); };
  const auto kept = [&](const TableRow& row) {
    return !anew && std::filesystem::exists(path_of(row));
  };
  if (std::ranges::any_of(rows, [&](const auto& row) { return row.network && !kept(row); }))
    check_transform(e, w);
  for (const auto& row : rows) {
    const auto name = name_of(row);
    const auto path = path_of(row);
    if (kept(row)) {
      spdlog::info("row {}: kept, as {} is there; --force measures it anew", row.name,
                   path.string());
      try {
        records.push_back(record::read<record::Result>(path));
      } catch (const Error& error) {  // of an older form
        spdlog::warn("row {} is not shown: {}", row.name, error.what());
      }
      continue;
    }
    spdlog::info("row {}", row.name);
    row.train(w);
    if (e.rehearsal) continue;
    auto matrix = row.measure(w);
    // The papers' classifiers are ResNet-20, or what they are compared with.
    const bool theirs = e.classifier.architecture == "resnet" && e.classifier.depth == 20;
    auto& first = matrix.protections.front();
    if (!first.paper && theirs && !first.provenance.contains("alpha_at_end"))
      first.paper = record::paper_figure(row.name, e.data.source);
    records.push_back(record::row_result(name, std::move(matrix)));
    record::write(path, records.back(), Overwrite::Yes);
  }
  return records;
}

}  // namespace veilnet::experiment
