"""Dagster assets: each names a thing that exists and calls one library function."""
