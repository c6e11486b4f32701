"""Benchmarks: one file a question, against a named peer in the same run, results as JSON."""
