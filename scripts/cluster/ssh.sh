#!/usr/bin/env bash
# A run on hosts that ssh reaches, a process on each; the first of them is the one that writes:
#   HOSTS="node1 node2" scripts/cluster/ssh.sh --config=ontonotes:large --workdir=/shared/runs/ontonotes
# FOLDER (this one) must be the same on all hosts, and PORT (29400) open between them. PYTHON is the interpreter there.
set -euo pipefail

read -ra hosts <<<"${HOSTS:?the hosts, the first one first, as node1 node2}"
folder=${FOLDER:-$PWD} port=${PORT:-29400} python=${PYTHON:-python}
read -ra remote <<<"${SSH:-ssh -o BatchMode=yes}"
arguments=$(printf ' %q' "$@")

trap 'kill $(jobs -p) 2>/dev/null || true' INT TERM
for index in "${!hosts[@]}"; do
  "${remote[@]}" "${hosts[$index]}" "cd $(printf %q "$folder") && \
    JAX_COORDINATOR_ADDRESS=${hosts[0]}:$port JAX_NUM_PROCESSES=${#hosts[@]} JAX_PROCESS_ID=$index \
    exec $python -m toner_jax.main$arguments" &
done

status=0
for job in $(jobs -p); do
  wait "$job" || status=$?
done
exit "$status"
