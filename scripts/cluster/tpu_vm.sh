#!/usr/bin/env bash
# A run on all hosts of a TPU slice, whose environment JAX reads itself:
#   TPU=my-slice ZONE=us-east5-b scripts/cluster/tpu_vm.sh --config=ontonotes:large --workdir=/shared/runs/ontonotes
# FOLDER (toner_jax) is where the repository lies on each host, PYTHON the interpreter there.
set -euo pipefail

arguments=$(printf ' %q' "$@")
exec "${GCLOUD:-gcloud}" compute tpus tpu-vm ssh "${TPU:?the name of the slice}" --zone="${ZONE:?its zone}" --worker=all \
  --command="cd $(printf %q "${FOLDER:-toner_jax}") && exec ${PYTHON:-python} -m toner_jax.main$arguments \
--config.processes.cluster=gcetpu"
