"""Faces in tables of Hugging Face and others: Parquet and Arrow, read by pyarrow."""
