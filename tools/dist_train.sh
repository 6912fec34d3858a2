#!/usr/bin/env bash
# Train on several GPUs (or, without any, in several processes) of one machine:
#   tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
# Of several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT, and run it on each of them.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [arguments of tools/train.py]" >&2
    exit 2
fi
CONFIG=$1
GPUS=$2

exec "${PYTHON:-python}" -m luss.launcher \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$(dirname "$0")/train.py" "$CONFIG" --launcher pytorch "${@:3}"
