#!/bin/sh
# sbatch slurm.sh: an array job of 16; a shard that was stopped goes on where it was.
#SBATCH --array=1-16
#SBATCH --cpus-per-task=2
#SBATCH --requeue
exec veilnet protect photos/ --model cifar10-h -o protected/ --skip-existing --threads 2 \
  --shard "$SLURM_ARRAY_TASK_ID/16" --json "protected-$SLURM_ARRAY_TASK_ID.json"
