#!/usr/bin/env bash
# Formats every C++ file, or with --check names those that are not formatted and fails.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=(-i)
[[ ${1-} == --check ]] && mode=(--dry-run --Werror)
clang_format=$(command -v clang-format-14 || true)
if [[ -z $clang_format ]]; then
  echo "format: clang-format-14 is not installed (other versions format differently): scripts/bootstrap.sh --ci" >&2
  exit 1
fi
folders=()
for folder in include src tests bench docs/examples fuzz python; do
  [[ -d $folder ]] && folders+=("$folder")
done
find "${folders[@]}" \( -name '*.h' -o -name '*.cpp' \) -print0 | xargs -0 --no-run-if-empty "$clang_format" "${mode[@]}"
