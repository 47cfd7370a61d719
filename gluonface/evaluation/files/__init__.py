"""Readers of the files of protocols: lists, features, images. Each error names its file."""
