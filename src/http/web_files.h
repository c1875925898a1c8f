// The files of a web page, served beside the protocol.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace veilnet::http {

struct WebFile {
  std::shared_ptr<const std::string> bytes;
  std::string_view type;  ///< of the content, by the ending of the name
  std::string etag;       ///< of the bytes, in its quotes
};

/// All files beneath a folder, read when it is made. A request looks a path up in a table and
/// never in the file system, so that no path leads out of the folder; a page that was built anew is
/// seen by a server that was started anew.
class WebFiles {
 public:
  /// Files and folders whose names begin with a dot are left out.
  /// @throws Error{NotFound} without a folder or an index.html in it, Error{BadData} for a link or
  /// anything else that is no file, for a name of other characters than A-Z a-z 0-9 . _ - and for
  /// more than 2,000 files or 256 MiB together, Error{Io} as read_text.
  explicit WebFiles(const std::filesystem::path& folder);

  /// Of a path as it is in a request: "/assets/page.js"; "/" is "/index.html". Null if there is
  /// none.
  const WebFile* find(std::string_view path) const;

 private:
  std::map<std::string, WebFile, std::less<>> files_;
};

/// What is said of each file: which sources a page may use (its own server, and no inline scripts
/// or styles), that other sites may neither frame nor read it, and that it is isolated, without
/// which browsers give a page no threads.
const std::vector<std::pair<std::string, std::string>>& web_headers();

/// Whether a request's If-None-Match, which may be empty, names this version.
bool has_version(std::string_view if_none_match, const WebFile& file);

}  // namespace veilnet::http
