"""Faces in zip and tar archives, which are read in place."""
