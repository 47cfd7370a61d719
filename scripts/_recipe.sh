# Sourced by the scripts that train a published recipe. Each script then sets
#   recipe, title           name and title of the recipe
#   published_processes       processes of the published run, one per device, for --help; 1 is the default
#   smoke_settings          array of KEY=VALUE that make the recipe small
# may set
#   default_ctx             devices of the published run; gpu is the GPU with the number of the process
#   smoke_faces             array: flags of `gluonface data synthesize` for --smoke
#   before_smoke            function: makes what else --smoke needs; DATA and RUN are set
#   recipe_flags            array of "--flag VALUE|ENVIRONMENT|KEY[,KEY]|default"
# and calls: run_recipe "$@"

default_ctx='gpu'
smoke_faces=(--identities 12 --images 8 --test-identities 20 --pairs 40)
recipe_flags=(
    "--batch-size N|BATCH_SIZE|data.batch_size|the recipe's, over all processes"
    "--accumulate N|ACCUMULATE|train.accumulate|1: slices of the batch, computed one after the other"
    "--lr RATE|LR|optimizer.lr|the recipe's"
    "--epochs N|EPOCHS|train.epochs|the recipe's"
    "--sample-rate R|SAMPLE_RATE|head.sample_rate|the recipe's share of the class centres per step"
    "--embedding-size D|EMBEDDING_SIZE|model.embedding_size|512"
    "--dtype TYPE|DTYPE|train.dtype|the recipe's"
    "--eval-every N|EVAL_EVERY|eval.every|the recipe's"
    "--seed N|SEED|train.seed|0"
)

recipe_usage() {
    local entry flag name text
    cat <<END
$title (recipe $recipe).

usage: $0 --data DIR --run DIR [options]
       $0 --smoke [--run DIR] [options]

  flag                 environment      default
  --data DIR           DATA             (training records; needed)
  --run DIR            RUN              runs/$recipe; with --smoke a temporary one
  --packs "A.bin B.bin" PACKS           the .bin files in the data folder
  --processes N        PROCESSES        1 (the published run: $published_processes); more need Horovod
  --hosts LIST         HOSTS            this machine; host1:8,host2:8 for several
  --ctx DEVICES        CTX              $default_ctx; cpu with --smoke
END
    for entry in "${recipe_flags[@]}"; do
        IFS='|' read -r flag name _ text <<<"$entry"
        printf '  %-20s %-16s %s\n' "$flag" "$name" "$text"
    done
    cat <<END
  --resume                              continue an interrupted run
  --smoke              SMOKE=1          a few steps on drawn faces, on a CPU, in a minute
  --set KEY=VALUE                       any other setting; may be repeated
  --dry-run                             print the resolved settings and stop
END
}

# take_flag FLAG VALUE: set the variable of a flag of `recipe_flags`; fail if there is none.
take_flag() {
    local entry flag name
    for entry in "${recipe_flags[@]}"; do
        IFS='|' read -r flag name _ <<<"$entry"
        if [ "${flag%% *}" = "$1" ]; then
            printf -v "$name" '%s' "$2"
            return
        fi
    done
    return 1
}

run_recipe() {
    local smoke=${SMOKE:-} dry='' flag value pack setting entry name keys
    local more=() arguments=() packs=() command=()
    DATA=${DATA:-} RUN=${RUN:-} PACKS=${PACKS:-} PROCESSES=${PROCESSES:-} HOSTS=${HOSTS:-}
    CTX=${CTX:-}
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
            --set) more+=(--set "$2") ;;
            *)
                if ! take_flag "$flag" "$2"; then
                    echo "$0: unknown flag $flag; --help lists them" >&2
                    exit 2
                fi
                ;;
        esac
        shift 2
    done

    # The gluonface in the environment of quickstart.sh; without one, that on the PATH.
    local here
    here=$(cd "$(dirname "$0")/.." && pwd)
    if [ -x "$here/.venv/bin/gluonface" ]; then PATH="$here/.venv/bin:$PATH"; fi
    if ! command -v gluonface >/dev/null; then
        echo "$0: there is no gluonface command. Run ./scripts/quickstart.sh, or install it:" \
            "pip install '$here[cpu]' (or [cu112] for NVIDIA GPUs)" >&2
        exit 1
    fi

    PROCESSES=${PROCESSES:-1}
    if [ "$PROCESSES" != 1 ] && [ -z "$dry" ] && ! command -v horovodrun >/dev/null; then
        echo "$0: --processes $PROCESSES needs Horovod, and there is no horovodrun command. Build it:" \
            "gluonface install-horovod (--processes 1, the default, needs none)" >&2
        exit 1
    fi

    if [ -n "$smoke" ]; then
        RUN=${RUN:-$(mktemp -d "${TMPDIR:-/tmp}/gluonface-smoke.XXXXXX")}
        DATA=${DATA:-$RUN/faces}
        CTX=${CTX:-cpu}
        if [ "$DATA" = "$RUN/faces" ] && [ -z "$dry" ]; then
            gluonface data synthesize "${smoke_faces[@]}" --out "$DATA"
        fi
        if [ -z "$dry" ] && declare -F before_smoke >/dev/null; then before_smoke; fi
        arguments+=(--set train.epochs=null --set log.every=1 --set train.dtype=float32)
        for setting in "${smoke_settings[@]}"; do arguments+=(--set "$setting"); done
    fi
    RUN=${RUN:-runs/$recipe}
    CTX=${CTX:-$default_ctx}
    if [ -z "$DATA" ]; then
        echo "$0: give the training data with --data DIR, or try every step with --smoke" >&2
        exit 2
    fi

    for entry in "${recipe_flags[@]}"; do
        IFS='|' read -r _ name keys _ <<<"$entry"
        value=${!name:-}
        if [ -n "$value" ]; then
            for setting in ${keys//,/ }; do arguments+=(--set "$setting=$value"); done
        fi
    done
    if [ -z "$PACKS" ]; then
        for pack in "$DATA"/*.bin; do
            if [ -f "$pack" ]; then packs+=("$pack"); fi
        done
    elif [ -f "$PACKS" ]; then
        packs=("$PACKS")
    else
        # shellcheck disable=SC2206  # a list of paths, meant to be split at blanks
        packs=($PACKS)
    fi
    if [ ${#packs[@]} != 0 ]; then arguments+=(--packs "${packs[@]}"); fi
    if [ "$PROCESSES" != 1 ] && [ -z "$dry" ]; then
        command=(horovodrun -np "$PROCESSES")
        if [ -n "$HOSTS" ]; then command+=(-H "$HOSTS"); fi
        arguments+=(--parallel horovod)
    fi
    command+=(gluonface train --recipe "$recipe" --data "$DATA" --run "$RUN" --ctx "$CTX")
    exec "${command[@]}" "${arguments[@]}" ${more[@]+"${more[@]}"}
}
