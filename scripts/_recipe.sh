# Sourced by the scripts that train a published recipe. They set, before:
#   recipe, title           name of the recipe and what it is
#   default_processes       processes of the published run, one per device
#   smoke_settings          array of KEY=VALUE that make the recipe small
# and call: run_recipe "$@"

recipe_usage() {
    cat <<END
$title (recipe $recipe).

usage: $0 --data DIR --run DIR [options]
       $0 --smoke [--run DIR] [options]

  flag                 environment      default
  --data DIR           DATA             (training records; needed)
  --run DIR            RUN              runs/$recipe; with --smoke a temporary one
  --packs "A.bin B.bin" PACKS           the .bin files in the data folder
  --processes N        PROCESSES        $default_processes, one per device; 1 with --smoke
  --hosts LIST         HOSTS            this machine; host1:8,host2:8 for several
  --ctx DEVICES        CTX              gpu, that of the process's number; cpu with --smoke
  --batch-size N       BATCH_SIZE       the recipe's, over all processes
  --accumulate N       ACCUMULATE       1: parts into which the batch of a step is cut
  --lr RATE            LR               the recipe's
  --epochs N           EPOCHS           the recipe's
  --sample-rate R      SAMPLE_RATE      the recipe's share of the class centres per step
  --embedding-size D   EMBEDDING_SIZE   512
  --dtype TYPE         DTYPE            the recipe's
  --eval-every N       EVAL_EVERY       the recipe's
  --seed N             SEED             0
  --resume                              go on with an interrupted run
  --smoke              SMOKE=1          small made-up faces and few steps, on a CPU, in a minute
  --set KEY=VALUE                       any other setting; may be repeated
  --dry-run                             print the resolved settings and stop
END
}

run_recipe() {
    local smoke=${SMOKE:-} dry='' flag value pack setting
    local more=() arguments=() packs=() command=()
    DATA=${DATA:-} RUN=${RUN:-} PACKS=${PACKS:-} PROCESSES=${PROCESSES:-} HOSTS=${HOSTS:-}
    CTX=${CTX:-} BATCH_SIZE=${BATCH_SIZE:-} ACCUMULATE=${ACCUMULATE:-} LR=${LR:-}
    EPOCHS=${EPOCHS:-} SAMPLE_RATE=${SAMPLE_RATE:-} EMBEDDING_SIZE=${EMBEDDING_SIZE:-}
    DTYPE=${DTYPE:-} EVAL_EVERY=${EVAL_EVERY:-} SEED=${SEED:-}
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
                recipe_usage
                exit 0
                ;;
            --smoke)
                smoke=1
                shift
                continue
                ;;
            --resume | --dry-run | --progress)
                [ "$flag" = --dry-run ] && dry=1
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
            --processes) PROCESSES=$2 ;;
            --hosts) HOSTS=$2 ;;
            --ctx) CTX=$2 ;;
            --batch-size) BATCH_SIZE=$2 ;;
            --accumulate) ACCUMULATE=$2 ;;
            --lr) LR=$2 ;;
            --epochs) EPOCHS=$2 ;;
            --sample-rate) SAMPLE_RATE=$2 ;;
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
    local here
    here=$(cd "$(dirname "$0")/.." && pwd)
    if [ -x "$here/.venv/bin/gluonface" ]; then PATH="$here/.venv/bin:$PATH"; fi
    if ! command -v gluonface >/dev/null; then
        echo "$0: there is no gluonface command. Run ./scripts/quickstart.sh, or install it:" \
            "pip install '$here[cpu]' (or [cu112] for NVIDIA GPUs)" >&2
        exit 1
    fi

    if [ -n "$smoke" ]; then
        RUN=${RUN:-$(mktemp -d "${TMPDIR:-/tmp}/gluonface-smoke.XXXXXX")}
        DATA=${DATA:-$RUN/faces}
        CTX=${CTX:-cpu}
        PROCESSES=${PROCESSES:-1}
        if [ "$DATA" = "$RUN/faces" ] && [ -z "$dry" ]; then
            gluonface data synthesize --identities 12 --images 8 --test-identities 20 \
                --pairs 100 --out "$DATA"
        fi
        arguments+=(--set train.epochs=null --set log.every=1 --set train.dtype=float32)
        for setting in "${smoke_settings[@]}"; do arguments+=(--set "$setting"); done
    fi
    RUN=${RUN:-runs/$recipe}
    CTX=${CTX:-gpu}
    PROCESSES=${PROCESSES:-$default_processes}
    if [ -z "$DATA" ]; then
        echo "$0: give the training data with --data DIR, or try the whole way with --smoke" >&2
        exit 2
    fi

    setting() { # setting KEY VALUE: pass it on when there is a value
        if [ -n "$2" ]; then arguments+=(--set "$1=$2"); fi
    }
    setting data.batch_size "$BATCH_SIZE"
    setting train.accumulate "$ACCUMULATE"
    setting optimizer.lr "$LR"
    setting train.epochs "$EPOCHS"
    setting head.sample_rate "$SAMPLE_RATE"
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
    if [ "$PROCESSES" != 1 ] && [ -z "$dry" ]; then
        command=(horovodrun -np "$PROCESSES")
        if [ -n "$HOSTS" ]; then command+=(-H "$HOSTS"); fi
        arguments+=(--parallel horovod)
    fi
    command+=(gluonface train --recipe "$recipe" --data "$DATA" --run "$RUN" --ctx "$CTX")
    exec "${command[@]}" "${arguments[@]}" ${more[@]+"${more[@]}"}
}
