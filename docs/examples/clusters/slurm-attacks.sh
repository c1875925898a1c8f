#!/bin/bash
# The matrix of attacks as an array of 16 jobs, and one that puts it together: docs/clusters.md
#   sbatch --array=1-16 --parsable slurm-attacks.sh CONFIG          prints JOB
#   sbatch --dependency=afterany:JOB slurm-attacks.sh CONFIG
#SBATCH --cpus-per-task=4
set -euo pipefail
exec veilnet reproduce attacks --config "$1" ${SLURM_ARRAY_TASK_ID:+--shard "$SLURM_ARRAY_TASK_ID/16"}
