"""Checkpoints: what they hold, how they are written, and how they are taken up again."""
