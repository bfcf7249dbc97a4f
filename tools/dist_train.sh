#!/usr/bin/env bash
# tools/dist_train.sh CONFIG GPUS [arguments of train.py]; several machines: NNODES, NODE_RANK,
# MASTER_ADDR and PORT in the environment. Without a GPU it starts GPUS processes on the CPU.
set -eu

[ $# -ge 2 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
config=$1
gpus=$2
shift 2

python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" \
    "$(dirname "$0")/train.py" "$config" --launcher pytorch "$@"
