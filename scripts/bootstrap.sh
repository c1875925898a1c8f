#!/usr/bin/env bash
# Installs the Debian packages (12 or newer) that Veilnet is built from; silent when none is missing.
# With --ci also those of the checks in .ci/run, with --no-lab without LibTorch. Asks no questions.
set -euo pipefail

packages=(
  g++ cmake ninja-build make ccache pkg-config python3
  libcli11-dev libfmt-dev libspdlog-dev nlohmann-json3-dev libtomlplusplus-dev libkainjow-mustache-dev
  libpng-dev libjpeg62-turbo-dev libwebp-dev zlib1g-dev libsodium-dev libdnnl-dev
  libboost-dev libsimdjson-dev libssl-dev libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc
  libgtest-dev libgmock-dev
)
lab_packages=(libtorch-dev libgloo-dev libopenblas0-pthread libboost-dev)
ci_packages=(clang-format-14 clang-tidy-14 libonnx-dev chromium nginx-light pybind11-dev python3-dev python3-numpy)

case "${1-}" in
  "") packages+=("${lab_packages[@]}") ;;
  --ci) packages+=("${lab_packages[@]}" "${ci_packages[@]}") ;;
  --no-lab) ;;
  *) echo "usage: scripts/bootstrap.sh [--ci | --no-lab]" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
  cat >&2 <<TEXT
bootstrap: this system has no dpkg, so nothing was checked or installed. Veilnet needs what these Debian packages hold:
  ${packages[*]}
docs/building.md says what each is for. When they are there: make build BOOTSTRAP=no
TEXT
  exit 1
fi

# One query for all; packages dpkg has never heard of are simply absent from its answer.
installed=" $(dpkg-query -W -f '${db:Status-Status}:${Package}\n' "${packages[@]}" 2>/dev/null | sed -n 's/^installed://p' | tr '\n' ' ' || true) "
missing=()
for package in "${packages[@]}"; do
  [[ $installed == *" $package "* ]] || missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

# Debian's testing and unstable have no version.
id=$(. /etc/os-release && echo "${ID-} ${VERSION_ID-99}") || id=unknown
if [[ ${id% *} != debian || ${id#* } -lt 12 ]] 2>/dev/null; then
  cat >&2 <<TEXT
bootstrap: packages are missing, and they are installed by this script on Debian 12 or newer only (this is "$id"):
  ${missing[*]}
Install what corresponds to them (docs/building.md says what each is for), then: make build BOOTSTRAP=no
TEXT
  exit 1
fi
if [[ $EUID -ne 0 ]]; then
  cat >&2 <<TEXT
bootstrap: packages are missing, and installing them needs root:
  sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}
TEXT
  exit 1
fi

echo "bootstrap: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q install -y --no-install-recommends -o Dpkg::Options::=--force-confold "${missing[@]}"

# LibTorch multiplies matrices through whatever libblas.so.3 is; the reference BLAS is some 25 times slower than OpenBLAS.
if [[ " ${missing[*]} " == *" libopenblas0-pthread "* ]]; then
  for name in $(update-alternatives --get-selections | awk '$1 ~ /^libblas\.so\.3/ {print $1}'); do
    openblas=$(update-alternatives --list "$name" | grep -m1 openblas-pthread || true)
    [[ -z $openblas || $(update-alternatives --query "$name" | sed -n 's/^Value: //p') == "$openblas" ]] && continue
    update-alternatives --set "$name" "$openblas" ||
      echo "bootstrap: warning: $name is not OpenBLAS; training will be slow. Try: update-alternatives --config $name" >&2
  done
fi
