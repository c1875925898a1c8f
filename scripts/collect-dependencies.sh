#!/usr/bin/env bash
# Copies everything Veilnet needs besides LibTorch, a compiler and CMake from this Debian 12 machine into a folder, to be carried to
# a machine that has LibTorch but no package manager. The folder works as CMAKE_PREFIX_PATH and keeps Debian's layout.
#
#   scripts/collect-dependencies.sh [FOLDER]      FOLDER is deps/ by default and is replaced
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1-deps}
if [[ -e $out && ! -e $out/.veilnet-dependencies ]]; then
  echo "collect-dependencies: $out exists and was not made by this script" >&2
  exit 1
fi
scripts/bootstrap.sh

# Each -dev package with the packages of its shared libraries; pkgconf because CMake finds webp and sodium through it.
packages=(
  libcli11-dev nlohmann-json3-dev libtomlplusplus-dev libspdlog-dev libfmt-dev libkainjow-mustache-dev
  libpng-dev zlib1g-dev libjpeg62-turbo-dev libwebp-dev libsodium-dev libssl-dev libdnnl-dev libgtest-dev libgmock-dev
  pkgconf-bin
)
for package in "${packages[@]}"; do
  packages+=($(dpkg-query -W -f '${Depends}' "$package" | tr ',|' '\n\n' | sed -E 's/ *([^ :(]+).*/\1/' |
    grep -E '^lib(tomlplusplus|spdlog|fmt|png|jpeg|webp|sodium|ssl|dnnl|pkgconf)[^ ]*([0-9]|-turbo)$' || true))
done
packages+=(zlib1g)

rm -rf "$out"
mkdir -p "$out"
touch "$out/.veilnet-dependencies"
# /lib is /usr/lib on Debian 12. Static libraries are left out where a shared one exists; only GoogleTest has none.
dpkg -L "${packages[@]}" | sed 's|^/lib/|/usr/lib/|' | sort -u |
  grep -E '^/usr/(include/|share/cmake/|bin/pkgconf$|lib/[^/]+/(cmake/|pkgconfig/|lib[^/]*\.so|lib(gtest|gmock)[^/]*\.a$))' |
  while read -r path; do [[ -d $path && ! -L $path ]] || echo "${path#/usr/}"; done |
  tar -C /usr -cf - -T - | tar -C "$out" -xf -

# A compiler looks into include/<triplet> below /usr only.
triplet=$(basename "$(dirname "$(find "$out/lib" -name 'libsodium.so')")")
if [[ -d $out/include/$triplet ]]; then
  cp -r "$out/include/$triplet/." "$out/include/"
  rm -r "$out/include/$triplet"
fi
sed -i 's|^prefix=.*|prefix=${pcfiledir}/../../..|; s|=/usr/|=${prefix}/|g' "$out/lib/$triplet/pkgconfig/"*.pc

# Named as CMake looks for it; brings its own library along.
cat > "$out/bin/pkg-config" <<TEXT
#!/bin/sh
here=\$(cd "\$(dirname "\$0")/.." && pwd)
LD_LIBRARY_PATH="\$here/lib/$triplet\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}" exec "\$here/bin/pkgconf" "\$@"
TEXT
chmod +x "$out/bin/pkg-config"

mebibytes=$(du -sm "$out" | cut -f1)
echo "collect-dependencies: $out, $mebibytes MiB. On the other machine configure with
  -DCMAKE_PREFIX_PATH=\"<this folder there>;<LibTorch's prefix>\" -DCMAKE_LIBRARY_ARCHITECTURE=$triplet"
if [[ $mebibytes -ge 64 ]]; then
  echo "collect-dependencies: more than 64 MiB" >&2
  exit 1
fi
