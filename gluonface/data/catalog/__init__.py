"""The public face sets: what they hold, where they come from, and how to check a download.

The entries are in ``training_sets.yaml`` and ``evaluation_sets.yaml``. Nothing is downloaded.
"""

from .catalog import CATALOG, Entry, recognise

__all__ = ["CATALOG", "Entry", "recognise"]
