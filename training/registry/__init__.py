"""The model registry, the ledger and decisions."""
