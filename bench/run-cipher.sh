#!/usr/bin/env bash
# Measures the keyed schemes beside memcpy and NumPy, and writes results/bench-cipher.json.
# usage: bench/run-cipher.sh [RESULT]
# On one core of an otherwise idle machine; needs python3-numpy. Builds cipher_bench into build/bench.
set -euo pipefail
cd "$(dirname "$0")/.."
result=${1-results/bench-cipher.json}
build=${BUILD-build/bench}

cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DVEILNET_BENCH=ON -DVEILNET_TESTS=OFF >/dev/null
cmake --build "$build" --target cipher_bench >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
core=$(taskset -pc $$ | sed 's/.*[ ,-]//')
python=${PYTHON-/usr/bin/python3}  # the one that python3-numpy belongs to
"$python" -c 'import numpy' 2>/dev/null || { echo "run-cipher: $python has no NumPy; install python3-numpy or set PYTHON" >&2; exit 1; }
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
"$build/cipher_bench" export "$work/vectors.safetensors"
for round in 1 2 3; do
  taskset -c "$core" "$build/cipher_bench" measure >"$work/veilnet-$round.json"
  taskset -c "$core" "$python" bench/cipher_numpy.py "$work/vectors.safetensors" >"$work/numpy-$round.json"
done
"$python" bench/cipher_result.py "$work" "$(git describe --always --dirty)" >"$work/result.json"
mkdir -p "$(dirname "$result")"
cp "$work/result.json" "$result"
echo "wrote $result" >&2
