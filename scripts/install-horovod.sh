#!/usr/bin/env bash
# Build Horovod 0.28.1 for MXNet with Gloo (CPU) or NCCL (GPU) into a virtual environment.
#   scripts/install-horovod.sh [ENVIRONMENT] [cpu|nccl]     needs a C++ compiler and cmake
# The work is in the package, for users of a wheel: `gluonface install-horovod`.
set -euo pipefail
exec bash "$(dirname "$0")/../gluonface/parallel/install-horovod.sh" "$@"
