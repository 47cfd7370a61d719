"""Slow twin of BCE: UniFace with a bias for each class."""

from reference.uniface import run

__all__ = ["CASES", "run"]

CASES = [{}, {"margin": 0.2, "weight": 2.0}]
