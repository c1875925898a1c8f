#!/bin/sh
# processes.sh N ARGUMENT...: N processes on this machine that train together, without a launcher. Ctrl-C ends all after the same step.
#   ./processes.sh 2 train classifier --config configs/cifar10-cpu.toml --set data.path=DIR
set -eu
count=$1; shift
export WORLD_SIZE="$count" LOCAL_WORLD_SIZE="$count" MASTER_ADDR=127.0.0.1 MASTER_PORT="${MASTER_PORT:-29500}"
rank=1
while [ "$rank" -lt "$count" ]; do
  RANK=$rank veilnet "$@" &
  rank=$((rank + 1))
done
export RANK=0
exec veilnet "$@"
