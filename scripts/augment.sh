#!/usr/bin/env bash
# MobileFaceNet with ArcFace on MS1M and one augmentation: a row of cavaface's table
#
#   ./scripts/augment.sh ROW --data DIR --run DIR
#   ./scripts/augment.sh ROW --smoke           every step on drawn faces, in a minute, on a CPU
#
# ROW: baseline, randaug, mixup, randerasing, cutout, cutmix or colorjitter
set -euo pipefail
. "$(dirname "$0")/_recipe.sh"

rows=" baseline randaug mixup randerasing cutout cutmix colorjitter "
row=${1:-}
if [ -z "$row" ] || [ "${rows/ $row /}" = "$rows" ]; then
    echo "usage: $0 ROW [options], ROW one of:$rows($0 baseline --help lists the options)" >&2
    exit 2
fi
shift
recipe=augment-$row
title="MobileFaceNet with ArcFace on MS1M, row $row of cavaface's table of augmentations"
published_processes=8
smoke_settings=(train.steps=24 data.batch_size=12 optimizer.lr=0.02 eval.every=24 checkpoint.every=24 eval.folds=5)
run_recipe "$@"
