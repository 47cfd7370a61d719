#!/usr/bin/env bash
# Train MobileFaceNet-128 with ArcFace as gluon-face did: batch 1760 over 8 GPUs, learning rate
# 0.35 on a cosine, 86,000 steps, the first 35,000 with plain softmax. Data: Emore / MS1M as
# InsightFace packs it (train.rec, train.idx, property), 5.8 million images.
#
#   ./scripts/mobilefacenet-arcface.sh --data DIR --run DIR
#   ./scripts/mobilefacenet-arcface.sh --smoke          the whole way in a minute, on a CPU
set -euo pipefail

# The settings. Each may come from the environment under this name, or from its flag below.
smoke=${SMOKE:-}
DATA=${DATA:-}
RUN=${RUN:-}
PACKS=${PACKS:-}
CTX=${CTX:-}
BATCH_SIZE=${BATCH_SIZE:-}
LR=${LR:-}
WARMUP_STEPS=${WARMUP_STEPS:-}
WD=${WD:-}
MOMENTUM=${MOMENTUM:-}
OPTIMIZER=${OPTIMIZER:-}
SCALE=${SCALE:-}
MARGIN=${MARGIN:-}
STEPS=${STEPS:-}
SOFTMAX_WARMUP=${SOFTMAX_WARMUP:-}
EMBEDDING_SIZE=${EMBEDDING_SIZE:-}
DTYPE=${DTYPE:-}
EVAL_EVERY=${EVAL_EVERY:-}
SEED=${SEED:-}

usage() {
    cat <<END
Train MobileFaceNet-128 with ArcFace, the gluon-face recipe (recipe mobilefacenet-arcface).

usage: $0 --data DIR --run DIR [options]
       $0 --smoke [--run DIR] [options]

  flag                 environment      default
  --data DIR           DATA             (training records; needed)
  --run DIR            RUN              runs/mobilefacenet-arcface; with --smoke a temporary one
  --packs "A.bin B.bin" PACKS           the .bin files in the data folder
  --ctx DEVICES        CTX              gpu0,...,gpu7
  --batch-size N       BATCH_SIZE       1760, over all devices
  --lr RATE            LR               0.35
  --warmup-steps N     WARMUP_STEPS     5000
  --wd DECAY           WD               4e-5, none on BatchNorm, biases and PReLU
  --momentum M         MOMENTUM         0.9
  --optimizer NAME     OPTIMIZER        nag
  --scale S            SCALE            64
  --margin M           MARGIN           0.5 radians
  --steps N            STEPS            86000
  --softmax-warmup N   SOFTMAX_WARMUP   35000 steps before the margin sets in
  --embedding-size D   EMBEDDING_SIZE   128
  --dtype TYPE         DTYPE            float32 (float16 on GPUs, bfloat16 on CPUs that have it)
  --eval-every N       EVAL_EVERY       2000
  --seed N             SEED             0
  --resume                              go on with an interrupted run
  --smoke              SMOKE=1          small made-up faces and few steps, on a CPU, in a minute
  --set KEY=VALUE                       any other setting; may be repeated
  --dry-run                             print the resolved settings and stop
END
}

more=()
while [ $# -gt 0 ]; do
    flag=$1
    case $flag in
        --*=*) # --lr=0.1 is --lr 0.1
            value=${flag#*=}
            flag=${flag%%=*}
            shift
            set -- "$flag" "$value" "$@"
            ;;
    esac
    case $flag in
        -h | --help)
            usage
            exit 0
            ;;
        --smoke)
            smoke=1
            shift
            continue
            ;;
        --resume | --dry-run | --progress)
            more+=("$flag")
            shift
            continue
            ;;
    esac
    if [ $# -lt 2 ]; then
        echo "$0: $flag needs a value (or is unknown); --help lists the flags" >&2
        exit 2
    fi
    case $flag in
        --data) DATA=$2 ;;
        --run) RUN=$2 ;;
        --packs) PACKS=$2 ;;
        --ctx) CTX=$2 ;;
        --batch-size) BATCH_SIZE=$2 ;;
        --lr) LR=$2 ;;
        --warmup-steps) WARMUP_STEPS=$2 ;;
        --wd) WD=$2 ;;
        --momentum) MOMENTUM=$2 ;;
        --optimizer) OPTIMIZER=$2 ;;
        --scale) SCALE=$2 ;;
        --margin) MARGIN=$2 ;;
        --steps) STEPS=$2 ;;
        --softmax-warmup) SOFTMAX_WARMUP=$2 ;;
        --embedding-size) EMBEDDING_SIZE=$2 ;;
        --dtype) DTYPE=$2 ;;
        --eval-every) EVAL_EVERY=$2 ;;
        --seed) SEED=$2 ;;
        --set) more+=(--set "$2") ;;
        *)
            echo "$0: unknown flag $flag; --help lists them" >&2
            exit 2
            ;;
    esac
    shift 2
done

# The gluonface of the environment that quickstart.sh made, or else the one on the PATH.
here=$(cd "$(dirname "$0")/.." && pwd)
if [ -x "$here/.venv/bin/gluonface" ]; then
    gluonface=$here/.venv/bin/gluonface
elif command -v gluonface >/dev/null; then
    gluonface=gluonface
else
    echo "$0: there is no gluonface command. Run ./scripts/quickstart.sh, or install it:" \
        "pip install '$here[cpu]' (or [cu112] for NVIDIA GPUs)" >&2
    exit 1
fi

if [ -n "$smoke" ]; then
    # The same recipe, each number scaled down to 40 steps on 30 made-up people.
    RUN=${RUN:-$(mktemp -d "${TMPDIR:-/tmp}/gluonface-smoke.XXXXXX")}
    DATA=${DATA:-$RUN/faces}
    CTX=${CTX:-cpu}
    BATCH_SIZE=${BATCH_SIZE:-16}
    LR=${LR:-0.05}
    STEPS=${STEPS:-40}
    WARMUP_STEPS=${WARMUP_STEPS:-5}
    SOFTMAX_WARMUP=${SOFTMAX_WARMUP:-20}
    EVAL_EVERY=${EVAL_EVERY:-20}
    more+=(--set log.every=5 --set checkpoint.every=20)
    if [ "$DATA" = "$RUN/faces" ]; then
        "$gluonface" data synthesize --identities 30 --images 10 --test-identities 20 \
            --pairs 100 --out "$DATA"
    fi
fi
RUN=${RUN:-runs/mobilefacenet-arcface}
CTX=${CTX:-gpu0,gpu1,gpu2,gpu3,gpu4,gpu5,gpu6,gpu7}
if [ -z "$DATA" ]; then
    echo "$0: give the training data with --data DIR, or try the whole way with --smoke" >&2
    exit 2
fi

arguments=(train --recipe mobilefacenet-arcface --data "$DATA" --run "$RUN" --ctx "$CTX")
setting() { # setting KEY VALUE: pass it on when there is a value
    if [ -n "$2" ]; then arguments+=(--set "$1=$2"); fi
}
setting data.batch_size "$BATCH_SIZE"
setting optimizer.lr "$LR"
setting optimizer.wd "$WD"
setting optimizer.momentum "$MOMENTUM"
setting optimizer.name "$OPTIMIZER"
setting schedule.warmup_steps "$WARMUP_STEPS"
setting loss.scale "$SCALE"
setting loss.margin "$MARGIN"
setting train.steps "$STEPS"
setting margin_warmup.start "$SOFTMAX_WARMUP"
setting margin_warmup.end "$SOFTMAX_WARMUP"
setting model.embedding_size "$EMBEDDING_SIZE"
setting train.dtype "$DTYPE"
setting eval.every "$EVAL_EVERY"
setting train.seed "$SEED"
if [ -z "$PACKS" ]; then
    for pack in "$DATA"/*.bin; do
        if [ -f "$pack" ]; then PACKS="$PACKS $pack"; fi
    done
fi
if [ -n "$PACKS" ]; then
    # shellcheck disable=SC2206  # a list of paths, split at blanks on purpose
    packs=($PACKS)
    arguments+=(--packs "${packs[@]}")
fi
exec "$gluonface" "${arguments[@]}" ${more[@]+"${more[@]}"}
