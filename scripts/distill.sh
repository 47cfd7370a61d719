#!/usr/bin/env bash
# Train MobileFaceNet-128 from a larger network: ArcFace, and the direction of the teacher's embeddings.
# The teacher is any SOURCE, a .onnx file too, or the file that `gluonface embed --views --out FILE.npy`
# wrote for the training set: then it does not run again in every epoch.
#
#   ./scripts/distill.sh --data DIR --run DIR --teacher SOURCE
#   ./scripts/distill.sh --data DIR --run DIR --teacher-embeddings FILE.npy
#   ./scripts/distill.sh --smoke          every step on drawn faces, its teacher too, in minutes, on a CPU
set -euo pipefail
. "$(dirname "$0")/_recipe.sh"

recipe=distill
title="Train MobileFaceNet-128 from a larger network"
published_processes=1
default_ctx=gpu0,gpu1,gpu2,gpu3,gpu4,gpu5,gpu6,gpu7
recipe_flags=(
    "--teacher SOURCE|TEACHER|teacher.source|needed, or the next one"
    "--teacher-embeddings F|TEACHER_EMBEDDINGS|teacher.embeddings|with --smoke those of a small teacher"
    "--kd-weight W|KD_WEIGHT|loss.auxiliary.kd_cosine.weight|30"
    "--model NAME|MODEL|model.name|mobilefacenet"
    "--batch-size N|BATCH_SIZE|data.batch_size|1760, over all devices"
    "--lr RATE|LR|optimizer.lr|0.35"
    "--steps N|STEPS|train.steps|86000"
    "--embedding-size D|EMBEDDING_SIZE|model.embedding_size|128"
    "--dtype TYPE|DTYPE|train.dtype|float32"
    "--eval-every N|EVAL_EVERY|eval.every|2000"
    "--seed N|SEED|train.seed|0"
)
smoke_settings=(
    train.steps=24 data.batch_size=12 optimizer.lr=0.02 schedule.warmup_steps=4
    margin_warmup.start=0 margin_warmup.end=0 eval.every=24 checkpoint.every=24 eval.folds=5
)

before_smoke() {
    if [ -n "${TEACHER:-}${TEACHER_EMBEDDINGS:-}" ]; then return; fi
    gluonface train --recipe synthetic-quickstart --data "$DATA" --run "$RUN/teacher" --resume \
        --set train.steps=24 --set export.onnx=false
    gluonface embed --model "$RUN/teacher" --input "$DATA" --views --out "$RUN/teacher.npy"
    TEACHER_EMBEDDINGS=$RUN/teacher.npy
}

run_recipe "$@"
