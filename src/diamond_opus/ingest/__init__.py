"""Ingest: read a partition completely, and store every raw answer with the progress it stands for."""
