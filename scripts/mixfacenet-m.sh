#!/usr/bin/env bash
# MixFaceNet-M with ArcFace on MS1MV2, class centres sharded by Partial FC
#
#   ./scripts/mixfacenet-m.sh --data DIR --run DIR
#   ./scripts/mixfacenet-m.sh --smoke          every step on drawn faces, in a minute, on a CPU
set -euo pipefail
. "$(dirname "$0")/_recipe.sh"

recipe=mixfacenet-m
title="MixFaceNet-M with ArcFace on MS1MV2, class centres sharded by Partial FC"
published_processes=4
smoke_settings=(train.steps=4 data.batch_size=4 optimizer.lr=0.02 eval.every=4 checkpoint.every=2 eval.folds=5)
run_recipe "$@"
