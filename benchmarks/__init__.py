"""Benchmarks: one file a question, against a named peer in the same run, results as JSON."""

from pipelines.environment import prepare_environment

prepare_environment()
