#!/bin/sh
# sbatch slurm-train.sh RUN ARGUMENT...: psi, then h, with four processes on two nodes that see the same folders. RUN is the folder of the
# run, runs/<name>. Stopped and queued again, it goes on where it was.
#   sbatch slurm-train.sh runs/cifar10-cpu --config configs/cifar10-cpu.toml --set data.path=DIR --set phi.file=VGG
#SBATCH --nodes=2
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=8
#SBATCH --requeue
#SBATCH --signal=TERM@120
set -eu
run=$1; shift
for what in classifier transform; do
  how=--force
  if ls "$run/$what"*/checkpoint/state.pt >/dev/null 2>&1 || grep -qs '"state": "finished"' "$run/$what"*/run.json; then
    how=--resume
  fi
  # The others are left time to end by themselves where one fails: process 0 saves the state.
  srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=0 veilnet train "$what" "$@" --set compute.threads="$SLURM_CPUS_PER_TASK" "$how"
done
