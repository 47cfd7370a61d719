"""`python -m gluonface` is the `gluonface` command."""

import sys

from .cli import main

sys.exit(main())
