#!/usr/bin/env bash
# Train MobileFaceNet-128 with ArcFace as gluon-face does: batch 1760 over 8 GPUs, learning rate
# 0.35 on a cosine, 86,000 steps, the first 35,000 with plain softmax. Data: Emore / MS1M as
# InsightFace packs it (train.rec, train.idx, property), 5.8 million images.
#
#   ./scripts/mobilefacenet-arcface.sh --data DIR --run DIR
#   ./scripts/mobilefacenet-arcface.sh --smoke          every step on drawn faces, in a minute, on a CPU
set -euo pipefail
. "$(dirname "$0")/_recipe.sh"

recipe=mobilefacenet-arcface
title="Train MobileFaceNet-128 with ArcFace, the gluon-face recipe"
published_processes=1
default_ctx=gpu0,gpu1,gpu2,gpu3,gpu4,gpu5,gpu6,gpu7
recipe_flags=(
    "--batch-size N|BATCH_SIZE|data.batch_size|1760, over all devices"
    "--lr RATE|LR|optimizer.lr|0.35"
    "--warmup-steps N|WARMUP_STEPS|schedule.warmup_steps|5000"
    "--wd DECAY|WD|optimizer.wd|4e-5, none on BatchNorm, biases and PReLU"
    "--momentum M|MOMENTUM|optimizer.momentum|0.9"
    "--optimizer NAME|OPTIMIZER|optimizer.name|nag"
    "--scale S|SCALE|loss.scale|64"
    "--margin M|MARGIN|loss.margin|0.5 radians"
    "--steps N|STEPS|train.steps|86000"
    "--softmax-warmup N|SOFTMAX_WARMUP|margin_warmup.start,margin_warmup.end|35000 steps of softmax, then the margin"
    "--embedding-size D|EMBEDDING_SIZE|model.embedding_size|128"
    "--dtype TYPE|DTYPE|train.dtype|float32 (float16 on GPUs, bfloat16 on CPUs that have it)"
    "--eval-every N|EVAL_EVERY|eval.every|2000"
    "--seed N|SEED|train.seed|0"
)
# The same recipe, scaled down to 40 steps on 30 drawn identities.
smoke_faces=(--identities 30 --images 10 --test-identities 20 --pairs 100)
smoke_settings=(
    train.steps=40 data.batch_size=16 optimizer.lr=0.05 schedule.warmup_steps=5
    margin_warmup.start=20 margin_warmup.end=20 eval.every=20 checkpoint.every=20 log.every=5
)
run_recipe "$@"
