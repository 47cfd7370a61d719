"""Blocks that several backbone families share."""
