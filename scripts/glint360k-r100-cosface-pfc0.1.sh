#!/usr/bin/env bash
# iResNet-100 with CosFace on Glint360K, a tenth of the class centres in each step
#
#   ./scripts/glint360k-r100-cosface-pfc0.1.sh --data DIR --run DIR
#   ./scripts/glint360k-r100-cosface-pfc0.1.sh --smoke          every step on drawn faces, in a minute, on a CPU
set -euo pipefail
. "$(dirname "$0")/_recipe.sh"

recipe=glint360k-r100-cosface-pfc0.1
title="iResNet-100 with CosFace on Glint360K, a tenth of the class centres in each step"
published_processes=8
smoke_faces=(--identities 12 --images 8 --test-identities 20 --pairs 20)
smoke_settings=(train.steps=4 data.batch_size=4 optimizer.lr=0.01 eval.every=4 checkpoint.every=2 eval.folds=5)
run_recipe "$@"
