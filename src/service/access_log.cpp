#include "service/access_log.h"

#include <array>
#include <chrono>
#include <ctime>
#include <fmt/format.h>
#include <sodium.h>

namespace veilnet::service {
namespace {

std::string now_text() {
  const auto now = std::chrono::system_clock::now();
  const auto seconds = std::chrono::system_clock::to_time_t(now);
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms);
}

}  // namespace

std::string access_line(const AccessEntry& entry) {
  nlohmann::ordered_json line{
      {"time", now_text()},
      {"request", entry.request_id},
      {"route", entry.route},
      {"status", entry.status},
      {"bytes_in", entry.bytes_in},
      {"bytes_out", entry.bytes_out},
      {"ms", std::chrono::duration<double, std::milli>(Clock::now() - entry.begin).count()}};
  if (!entry.model.empty()) {
    line["model"] = entry.model;
    line["version"] = entry.version;
    line["pictures"] = entry.pictures;
    if (entry.unprotected > 0) line["unprotected"] = entry.unprotected;
  }
  return line.dump();
}

std::string random_request_id() {
  std::array<unsigned char, 8> bytes;
  randombytes_buf(bytes.data(), bytes.size());
  uint64_t value = 0;
  for (const auto byte : bytes) value = value << 8 | byte;
  return fmt::format("{:016x}", value);
}

}  // namespace veilnet::service
