"""Checkpoints: their content, writing and loading."""
