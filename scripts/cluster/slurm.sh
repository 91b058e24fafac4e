#!/usr/bin/env bash
# A run on several nodes of A100s under SLURM, a process for each GPU:
#   sbatch --nodes=2 scripts/cluster/slurm.sh --config=ontonotes:large --workdir=/shared/runs/ontonotes
# Two minutes before the time limit the run is told to stop: it saves its step, and the job is queued again.
#SBATCH --job-name=toner_jax
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -uo pipefail

status=0
srun --kill-on-bad-exit=0 "${PYTHON:-python}" -m toner_jax.main "$@" || status=$?
# srun ends with the highest status of its tasks: 75 where all were stopped, 134 where one lost the first process.
if [[ $status == 75 || $status == 134 || $status == 137 ]] && ((${SLURM_RESTART_COUNT:-0} < 20)); then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
