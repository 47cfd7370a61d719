#!/usr/bin/env bash
# MixFaceNet-XS with ArcFace on MS1MV2, class centres sharded by Partial FC
#
#   ./scripts/mixfacenet-xs.sh --data DIR --run DIR
#   ./scripts/mixfacenet-xs.sh --smoke          every step on drawn faces, in a minute, on a CPU
set -euo pipefail
. "$(dirname "$0")/_recipe.sh"

recipe=mixfacenet-xs
title="MixFaceNet-XS with ArcFace on MS1MV2, class centres sharded by Partial FC"
published_processes=4
smoke_settings=(train.steps=6 data.batch_size=6 optimizer.lr=0.02 eval.every=6 checkpoint.every=3 eval.folds=5)
run_recipe "$@"
