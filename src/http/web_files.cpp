#include "http/web_files.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <system_error>

#include "core/error.h"
#include "core/files.h"
#include "core/text.h"

namespace veilnet::http {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFiles = 2000;
constexpr std::uint64_t kMaxBytes = 256u << 20;
constexpr const char* kIndex = "/index.html";

constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kTypes = {{
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".txt", "text/plain; charset=utf-8"},
    {".wasm", "application/wasm"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".webp", "image/webp"},
    {".svg", "image/svg+xml"},
    {".ico", "image/x-icon"},
    {".webmanifest", "application/manifest+json"},
}};

/// Models (.onnx) among the others. With nosniff, a browser makes nothing else of it.
constexpr std::string_view kOther = "application/octet-stream";

bool is_path_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

std::string etag_of(const std::string& bytes) {
  const auto hash =
      sha256_hex(std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
  return '"' + hash.substr(0, 32) + '"';
}

std::string_view type_of(const fs::path& path) {
  const auto ending = path.extension().string();
  const auto row = std::ranges::find(kTypes, ending, [](const auto& t) { return t.first; });
  return row == kTypes.end() ? kOther : row->second;
}

}  // namespace

WebFiles::WebFiles(const fs::path& folder) {
  std::error_code cause;
  if (!fs::is_directory(folder, cause))
    fail(ErrorCode::NotFound, "--web {}: there is no such folder (make web builds build/web)",
         folder.string());
  std::uint64_t total = 0;
  fs::recursive_directory_iterator at(folder, cause);
  for (; !cause && at != fs::recursive_directory_iterator(); at.increment(cause)) {
    const auto& path = at->path();
    const auto name = path.filename().string();
    const auto status = at->symlink_status(cause);
    if (cause) break;
    if (name.starts_with('.')) {
      if (fs::is_directory(status)) at.disable_recursion_pending();
      continue;
    }
    if (!std::ranges::all_of(name, is_path_letter))
      fail(ErrorCode::BadData,
           "--web: {}: allowed in a name are the letters A to Z and a to z, digits, ., _ and -",
           printable(path.string(), 400));
    if (fs::is_directory(status)) continue;
    if (!fs::is_regular_file(status))
      fail(ErrorCode::BadData, "--web: {}: is a link or no file; only files are served",
           path.string());
    WebFile file;
    file.bytes = std::make_shared<const std::string>(read_text(path, kMaxBytes));
    file.type = type_of(path);
    file.etag = etag_of(*file.bytes);
    total += file.bytes->size();
    files_.emplace('/' + path.lexically_relative(folder).generic_string(), std::move(file));
    if (total > kMaxBytes || files_.size() > kMaxFiles)
      fail(ErrorCode::BadData, "--web {}: holds more than {} files or {} MiB", folder.string(),
           kMaxFiles, kMaxBytes >> 20);
  }
  if (cause) fail(ErrorCode::Io, "--web {}: cannot be read: {}", folder.string(), cause.message());
  if (!files_.contains(kIndex))
    fail(ErrorCode::NotFound, "--web {}: there is no index.html (make web builds build/web)",
         folder.string());
}

const WebFile* WebFiles::find(std::string_view path) const {
  const auto found = files_.find(path == "/" ? std::string_view(kIndex) : path);
  return found == files_.end() ? nullptr : &found->second;
}

const std::vector<std::pair<std::string, std::string>>& web_headers() {
  static const std::vector<std::pair<std::string, std::string>> headers = {
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
       "connect-src 'self'; img-src 'self' blob:; style-src 'self'; base-uri 'none'; "
       "form-action 'none'; frame-ancestors 'none'"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cross-Origin-Embedder-Policy", "require-corp"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Permissions-Policy", "camera=(self), microphone=(), geolocation=()"},
      {"Referrer-Policy", "no-referrer"},
      // Asked for each time, and answered by 304 where nothing changed.
      {"Cache-Control", "no-cache"},
  };
  return headers;
}

bool has_version(std::string_view if_none_match, const WebFile& file) {
  return if_none_match == "*" || if_none_match.find(file.etag) != if_none_match.npos;
}

}  // namespace veilnet::http
