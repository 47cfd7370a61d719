"""The work behind `gluonface data ...`, one file per command, and what these share."""
