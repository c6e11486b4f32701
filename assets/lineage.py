"""What an upstream asset said of itself when it was made last, so that a version is pinned by its id."""

from typing import Any

import dagster as dg


def metadata_of(instance: dg.DagsterInstance, asset: str) -> dict[str, Any]:
    """Return the metadata of the newest materialization of ``asset``; empty where it was never made."""
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    made = event.asset_materialization if event else None
    return {name: value.value for name, value in made.metadata.items()} if made else {}
