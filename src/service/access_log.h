// The line that the access log has for an answer, whatever protocol it was given in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "service/scheduler.h"

namespace veilnet::service {

/// What is told of an answer: neither addresses nor paths, headers or what a body holds.
struct AccessEntry {
  std::string_view request_id;
  std::string_view route;
  nlohmann::json status;  ///< HTTP's number or gRPC's name
  uint64_t bytes_in = 0, bytes_out = 0;
  Clock::time_point begin;
  std::string_view model;  ///< "" where the answer is of none, and then no version or pictures
  int64_t version = 0, pictures = 0;
  int64_t unprotected = 0;  ///< of the pictures, where the leak guard warns
};

/// A line of JSON, without its end.
std::string access_line(const AccessEntry& entry);

/// 16 hexadecimal digits, by which client and log name one request.
std::string random_request_id();

}  // namespace veilnet::service
