#include "record/io.h"

#include <cmath>
#include <limits>
#include <type_traits>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_file.h"

namespace veilnet::record {
namespace {

using nlohmann::json;

// Values of single pictures are many.
constexpr JsonLimits kLimits{256u << 20, 32, 16'000'000};

template <class T>
constexpr bool is_vector = false;
template <class T>
constexpr bool is_vector<std::vector<T>> = true;
template <class T>
constexpr bool is_map = false;
template <class T>
constexpr bool is_map<std::map<std::string, T>> = true;

/// Fills a JSON value. `need` and `may` are those of Reader: both go through the same lists of
/// fields below.
class Writer {
 public:
  explicit Writer(json& out) : out_(out) {}

  template <class T>
  void need(const char* key, const T& value) {
    write(out_[key], value);
  }
  template <class T>
  void may(const char* key, const T& value) {
    if (!empty(value)) write(out_[key], value);
  }
  template <class T>
  void may(const char* key, const std::optional<T>& value) {
    if (value) write(out_[key], *value);
  }

  template <class T>
  static void write(json& out, const T& value) {
    if constexpr (std::is_same_v<T, double>) {
      if (std::isnan(value)) {
        out = nullptr;
      } else if (std::isinf(value)) {
        out = value > 0 ? "inf" : "-inf";
      } else {
        out = value;
      }
    } else if constexpr (std::is_same_v<T, std::string>) {
      out = without_folders(value);
    } else if constexpr (std::is_arithmetic_v<T>) {
      out = value;
    } else if constexpr (std::is_same_v<T, Value> || std::is_same_v<T, Figure>) {
      std::visit([&](const auto& v) { write(out, v); }, value);
    } else if constexpr (is_vector<T>) {
      out = json::array();
      for (const auto& v : value) write(out.emplace_back(), v);
    } else if constexpr (is_map<T>) {
      out = json::object();
      for (const auto& [name, v] : value) write(out[name], v);
    } else if constexpr (std::is_same_v<T, Metric>) {
      if (!value.spread && !value.paper && !value.n) {
        write(out, value.value);
      } else {
        Writer writer(out);
        fields(writer, value);
      }
    } else {
      out = json::object();
      Writer writer(out);
      fields(writer, value);
    }
  }

 private:
  template <class T>
  static bool empty(const T& value) {
    if constexpr (std::is_arithmetic_v<T>) {
      return value == 0;
    } else {
      return value.empty();
    }
  }

  json& out_;
};

/// Reads what Writer wrote and knows its own place in the file, for messages.
class Reader {
 public:
  Reader(const json& in, std::string where) : in_(in), where_(std::move(where)) {
    if (!in.is_object()) wrong(where_, "an object", in);
  }

  template <class T>
  void need(const char* key, T& value) const {
    const auto it = in_.find(key);
    if (it == in_.end()) fail(ErrorCode::BadData, "{}.{} is missing", where_, key);
    read(*it, where_ + "." + key, value);
  }
  template <class T>
  void may(const char* key, T& value) const {
    if (const auto it = in_.find(key); it != in_.end() && !it->is_null())
      read(*it, where_ + "." + key, value);
  }
  template <class T>
  void may(const char* key, std::optional<T>& value) const {
    if (const auto it = in_.find(key); it != in_.end() && !it->is_null())
      read(*it, where_ + "." + key, value.emplace());
  }

  template <class T>
  static void read(const json& in, const std::string& where, T& value) {
    if constexpr (std::is_same_v<T, double>) {
      value = number(in, where);
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (!in.is_string()) wrong(where, "a string", in);
      value = in.template get<std::string>();
    } else if constexpr (std::is_integral_v<T>) {
      if (!in.is_number_integer() || (std::is_unsigned_v<T> && in < 0))
        wrong(where, std::is_unsigned_v<T> ? "a count" : "a whole number", in);
      value = in.template get<T>();
    } else if constexpr (std::is_same_v<T, Value>) {
      if (in.is_string() && in != "inf" && in != "-inf") {
        value = in.template get<std::string>();
      } else if (in.is_number_integer()) {
        value = in.template get<std::int64_t>();
      } else {
        value = number(in, where);
      }
    } else if constexpr (std::is_same_v<T, Figure>) {
      if (in.is_object()) {
        read(in, where, value.template emplace<Summary>());
      } else {
        value = number(in, where);
      }
    } else if constexpr (is_vector<T>) {
      if (!in.is_array()) wrong(where, "an array", in);
      value.reserve(in.size());
      for (const auto& item : in) {
        // Long rows of numbers are common: their paths are made for the message only.
        if constexpr (std::is_same_v<T, std::vector<double>>) {
          value.push_back(item.is_number() ? item.template get<double>()
                                           : number(item, at(where, value.size())));
        } else {
          const auto place = at(where, value.size());
          read(item, place, value.emplace_back());
        }
      }
    } else if constexpr (is_map<T>) {
      if (!in.is_object()) wrong(where, "an object", in);
      for (const auto& [name, item] : in.items()) read(item, where + "." + name, value[name]);
    } else if constexpr (std::is_same_v<T, Metric>) {
      if (in.is_object()) {
        Reader reader(in, where);
        fields(reader, value);
      } else {
        value.value = number(in, where);
      }
    } else {
      Reader reader(in, where);
      fields(reader, value);
    }
  }

 private:
  [[noreturn]] static void wrong(const std::string& where, const char* expected,
                                 const json& found) {
    fail(ErrorCode::BadData, "{}: expected {}, found {}", where, expected, found.type_name());
  }
  static std::string at(const std::string& where, std::size_t index) {
    return fmt::format("{}[{}]", where, index);
  }
  static double number(const json& in, const std::string& where) {
    if (in.is_number()) return in.get<double>();
    if (in.is_null()) return std::numeric_limits<double>::quiet_NaN();
    if (in == "inf") return std::numeric_limits<double>::infinity();
    if (in == "-inf") return -std::numeric_limits<double>::infinity();
    wrong(where, "a number, \"inf\", \"-inf\" or null", in);
  }

  const json& in_;
  std::string where_;
};

// What each type is made of; T is the type or const of it.
template <class T, class Record>
concept Of = std::is_same_v<std::remove_const_t<T>, Record>;

template <class Io, Of<Summary> T>
void fields(Io& io, T& s) {
  io.need("n", s.n);
  io.need("infinite", s.infinite);
  io.need("mean", s.mean);
  io.need("standard_deviation", s.standard_deviation);
  io.need("min", s.min);
  io.need("p01", s.p01);
  io.need("q1", s.q1);
  io.need("median", s.median);
  io.need("q3", s.q3);
  io.need("p99", s.p99);
  io.need("max", s.max);
}

template <class Io, Of<Flag> T>
void fields(Io& io, T& f) {
  io.need("id", f.id);
  io.need("text", f.text);
}

template <class Io, Of<ThreatModel> T>
void fields(Io& io, T& m) {
  io.need("method", m.method);
  io.need("access", m.access);
  io.need("keys", m.keys);
  io.need("auxiliary", m.auxiliary);
}

template <class Io, Of<PaperFigure> T>
void fields(Io& io, T& p) {
  io.need("accuracy", p.accuracy);
  io.need("source", p.source);
}

template <class Io, Of<Dataset> T>
void fields(Io& io, T& d) {
  io.need("name", d.name);
  io.may("hash", d.hash);
  io.may("train", d.train);
  io.may("test", d.test);
  io.may("classes", d.classes);
  io.may("height", d.height);
  io.may("width", d.width);
  io.may("plain_accuracy", d.plain_accuracy);
}

template <class Io, Of<Phi> T>
void fields(Io& io, T& p) {
  io.need("source", p.source);
  io.may("layer", p.layer);
}

template <class Io, Of<Bound> T>
void fields(Io& io, T& b) {
  io.need("bits", b.bits);
  io.need("pictures", b.pictures);
  io.need("distinct", b.distinct);
  io.need("alone", b.alone);
  io.may("at_hand", b.at_hand);
  io.may("distinct_at_hand", b.distinct_at_hand);
  io.may("dead", b.dead);
  io.may("anonymity", b.anonymity);
  io.need("psnr_db", b.psnr_db);
  io.need("psnr_low_db", b.psnr_low_db);
  io.need("psnr_high_db", b.psnr_high_db);
  io.need("class_mean_psnr_db", b.class_mean_psnr_db);
  io.need("mean_psnr_db", b.mean_psnr_db);
  io.need("reidentified", b.reidentified);
  io.may("epsilon", b.epsilon);
  io.may("epsilon_seen", b.epsilon_seen);
  io.may("kept", b.kept);
}

template <class Io, Of<Service> T>
void fields(Io& io, T& s) {
  io.need("classifier", s.classifier);
  io.need("classes", s.classes);
  io.need("agreement", s.agreement);
  io.may("accuracy", s.accuracy);
  io.may("plain_accuracy", s.plain_accuracy);
}

template <class Io, Of<Protection> T>
void fields(Io& io, T& p) {
  io.need("label", p.label);
  io.need("text", p.text);
  io.need("keys", p.keys);
  io.may("key_space_bits", p.key_space_bits);
  io.may("alpha", p.alpha);
  io.may("architecture", p.architecture);
  io.may("recipe", p.recipe);
  io.may("classifier", p.classifier);
  io.may("accuracy", p.accuracy);
  io.may("accuracy_float", p.accuracy_float);
  io.may("plain_accuracy", p.plain_accuracy);
  io.may("confidence", p.confidence);
  io.may("confidence_without_chance", p.confidence_without_chance);
  io.may("paper", p.paper);
  io.may("local_accuracy", p.local_accuracy);
  io.may("local_gflop", p.local_gflop);
  io.may("client_gflop", p.client_gflop);
  io.may("services", p.services);
  io.may("bound", p.bound);
  io.may("unbiased_psnr_db", p.unbiased_psnr_db);
  io.may("provenance", p.provenance);
}

template <class Io, Of<Baseline> T>
void fields(Io& io, T& b) {
  io.need("name", b.name);
  io.need("text", b.text);
  io.need("measures", b.measures);
}

template <class Io, Of<Cell> T>
void fields(Io& io, T& c) {
  io.need("protection", c.protection);
  io.need("attack", c.attack);
  io.need("text", c.text);
  io.may("refused", c.refused);
  if (!c.refused.empty()) return;
  io.need("threat_model", c.threat_model);
  io.need("budget", c.budget);
  io.need("n", c.n);
  io.may("candidates", c.candidates);
  io.need("measures", c.measures);
  io.need("diversity", c.diversity);
  io.need("flags", c.flags);
  io.may("values", c.values);
  io.may("commit", c.commit);
  io.may("key", c.key);
}

template <class Io, Of<Transport> T>
void fields(Io& io, T& t) {
  io.need("protection", t.protection);
  io.need("transport", t.transport);
  io.may("accuracy", t.accuracy);
  io.may("attack", t.attack);
  io.may("measures", t.measures);
}

template <class Io, Of<Attribute> T>
void fields(Io& io, T& a) {
  io.need("protection", a.protection);
  io.need("attribute", a.attribute);
  io.need("accuracy", a.accuracy);
  io.need("chance", a.chance);
  io.need("threat_model", a.threat_model);
}

template <class Io, Of<Curve::Point> T>
void fields(Io& io, T& p) {
  io.need("budget", p.budget);
  io.need("measures", p.measures);
}

template <class Io, Of<Curve> T>
void fields(Io& io, T& c) {
  io.need("protection", c.protection);
  io.need("attack", c.attack);
  io.need("budget_name", c.budget_name);
  io.need("points", c.points);
}

template <class Io, Of<Provenance> T>
void fields(Io& io, T& p) {
  io.may("config", p.config);
  io.may("config_sha256", p.config_sha256);
  io.need("commit", p.commit);
  io.may("seed", p.seed);
  io.may("machine", p.machine);
  io.may("stages", p.stages);
}

template <class Io, Of<Matrix> T>
void fields(Io& io, T& m) {
  io.need("title", m.title);
  io.need("data", m.data);
  io.may("phi", m.phi);
  io.may("plain_paper", m.plain_paper);
  io.may("budget", m.budget);
  io.need("protections", m.protections);
  io.may("baselines", m.baselines);
  io.need("cells", m.cells);
  io.may("transport", m.transport);
  io.may("attributes", m.attributes);
  io.may("curve", m.curve);
  io.may("notes", m.notes);
  io.may("not_covered", m.not_covered);
  io.may("commands", m.commands);
  fields(io, m.provenance);
}

template <class Io, Of<Metric> T>
void fields(Io& io, T& m) {
  io.need("mean", m.value);
  io.may("spread", m.spread);
  io.may("n", m.n);
  io.may("paper", m.paper);
}

template <class Io, Of<Result> T>
void fields(Io& io, T& r) {
  io.need("experiment", r.experiment);
  io.need("metrics", r.metrics);
  fields(io, r.matrix);
}

template <class Record>
void check_whole(const Record& record) {
  if constexpr (std::is_same_v<Record, Matrix> || std::is_same_v<Record, Cell>) check(record);
  if constexpr (std::is_same_v<Record, Result>) check(record.matrix);
}

constexpr const char* kVersion = "record_version";
constexpr const char* kEntries = "entries";  // of a file that holds a list

}  // namespace

template <class Record>
std::string to_json(const Record& record) {
  check_whole(record);
  json out = json::object();
  if constexpr (is_vector<Record>) {
    Writer::write(out[kEntries], record);
  } else {
    Writer::write(out, record);
  }
  out[kVersion] = kRecordVersion;
  // Bytes that are not UTF-8 come from file and class names, and must not stop a record.
  return out.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

template <class Record>
Record from_json(std::string_view text, const std::string& name) {
  const auto in = parse_json(text, name, kLimits);
  const auto version = in.is_object() ? in.find(kVersion) : in.end();
  if (version == in.end() || *version != kRecordVersion)
    fail(ErrorCode::BadData, "{}.{} is {}, allowed is {}", name, kVersion,
         version == in.end() ? "missing" : version->dump().substr(0, 20), kRecordVersion);
  Record record;
  if constexpr (is_vector<Record>) {
    const Reader reader(in, name);
    reader.need(kEntries, record);
  } else {
    Reader::read(in, name, record);
  }
  try {
    check_whole(record);
  } catch (const Error& e) {
    fail(ErrorCode::BadData, "{}: {}", name, e.what());
  }
  return record;
}

template <class Record>
Record read(const std::filesystem::path& path) {
  return from_json<Record>(read_text(path, kLimits.max_bytes), path.string());
}

template <class Record>
void write(const std::filesystem::path& path, const Record& record, Overwrite overwrite) {
  write_file(path, to_json(record), overwrite);
}

#define VEILNET_RECORD(...)                                             \
  template std::string to_json(const __VA_ARGS__&);                     \
  template __VA_ARGS__ from_json(std::string_view, const std::string&); \
  template __VA_ARGS__ read(const std::filesystem::path&);              \
  template void write(const std::filesystem::path&, const __VA_ARGS__&, Overwrite);
VEILNET_RECORD(Matrix)
VEILNET_RECORD(Result)
VEILNET_RECORD(Cell)
VEILNET_RECORD(Protection)
VEILNET_RECORD(Baseline)
VEILNET_RECORD(Dataset)
VEILNET_RECORD(Summary)
VEILNET_RECORD(std::vector<Transport>)
VEILNET_RECORD(std::vector<Attribute>)
VEILNET_RECORD(std::vector<Curve>)
VEILNET_RECORD(std::vector<std::string>)
#undef VEILNET_RECORD

std::string without_folders(std::string_view words) {
  // Where a path may begin and what it is made of; quotes and spaces end it.
  constexpr std::string_view kBefore = " \t\n\"'=(,:;[<", kAfter = " \t\n\"',;)]>";
  std::string out;
  for (std::size_t i = 0; i < words.size();) {
    const bool begins = words[i] == '/' && (i == 0 || kBefore.find(words[i - 1]) != kBefore.npos) &&
                        !(i >= 1 && words[i - 1] == ':' && words.substr(i, 2) == "//");
    if (!begins) {
      out += words[i++];
      continue;
    }
    const auto end = std::min(words.find_first_of(kAfter, i), words.size());
    auto path = words.substr(i, end - i);
    while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    const auto slash = path.rfind('/');
    out += slash == 0 && path.size() == 1 ? path : path.substr(slash + 1);
    i = end;
  }
  return out;
}

}  // namespace veilnet::record
