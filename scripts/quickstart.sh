#!/usr/bin/env bash
# Install, train, evaluate and export a face-recognition model, on faces drawn by a program.
#
# Makes .venv, installs gluonface, draws a face set as RecordIO, trains MobileFaceNet-128 with
# ArcFace on it, evaluates on identities that were not trained on, with and without flip-TTA, and
# exports symbol + params + ONNX. A second run reuses what exists; RUN and FACES choose other folders.
#
#   ./scripts/quickstart.sh               on the CPU
#   EXTRA=cu112 ./scripts/quickstart.sh   on an NVIDIA GPU (needs only its driver)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/_environment.sh

faces=${FACES:-runs/synthetic-faces}
run=${RUN:-runs/quickstart}
extra=${EXTRA:-cpu}

python=$(find_python)
step "1/4  Install into .venv with $($python --version) (a minute or two the first time)"
make_environment .venv "$python" ".[$extra,onnx,openvino]"
PATH="$PWD/.venv/bin:$PATH"
started=$SECONDS

step "2/4  Draw faces into $faces"
gluonface data synthesize --identities 300 --images 30 --out "$faces"

step "3/4  Train MobileFaceNet-128 with ArcFace; the run folder is $run"
gluonface train --recipe synthetic-quickstart --data "$faces" --packs "$faces/test.bin" \
    --run "$run" --resume --ctx "$([ "$extra" = cpu ] && echo cpu || echo gpu)"

step "4/4  Evaluate on identities that were not trained on, untrained network first"
gluonface eval verification --model mobilefacenet:untrained "$run" --pack "$faces/test.bin" \
    --flip all --report "$run/report"

cat <<END

These faces are drawn by a program: the figures prove the pipeline, not accuracy on people.
  run folder   $run  (config, log, curves.png, checkpoints)
  model        $run/export/  (symbol + params, ONNX, model card)
  report       $run/report/$(basename "$run")/index.html
  time         $((SECONDS - started)) s after installing
Next: ./scripts/mobilefacenet-arcface.sh --help, and the docs: ./docs/build.sh
END
