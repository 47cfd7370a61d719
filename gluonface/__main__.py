"""`python -m gluonface` runs the command `gluonface`."""

import sys

from .cli import main

sys.exit(main())
