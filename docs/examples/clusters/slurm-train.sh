#!/bin/sh
# sbatch slurm-train.sh ARGUMENT...: psi, then h, with four processes on two nodes that see the same folders. Stopped and queued again, it
# goes on where it was.
#   sbatch slurm-train.sh --config configs/cifar10-cpu.toml --set data.path=DIR --set phi.file=VGG
#SBATCH --nodes=2
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=8
#SBATCH --requeue
#SBATCH --signal=TERM@120
set -eu
for what in classifier transform; do
  # The others are left time to end by themselves where one fails: process 0 saves the state.
  srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=0 veilnet train "$what" "$@" --set compute.threads="$SLURM_CPUS_PER_TASK" --continue
done
