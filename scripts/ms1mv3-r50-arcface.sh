#!/usr/bin/env bash
# iResNet-50 with ArcFace on MS1MV3
#
#   ./scripts/ms1mv3-r50-arcface.sh --data DIR --run DIR
#   ./scripts/ms1mv3-r50-arcface.sh --smoke          every step on drawn faces, in a minute, on a CPU
set -euo pipefail
. "$(dirname "$0")/_recipe.sh"

recipe=ms1mv3-r50-arcface
title="iResNet-50 with ArcFace on MS1MV3"
published_processes=8
smoke_settings=(train.steps=4 data.batch_size=4 optimizer.lr=0.01 eval.every=4 checkpoint.every=2 eval.folds=5)
run_recipe "$@"
