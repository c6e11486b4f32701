"""The jobs: which assets are made together."""

from typing import Final

import dagster as dg

COLLECT: Final = ("interactions", "corrections", "escalations", "context_feedback", "features", "predictions")
REVIEW: Final = (
    "reviews",
    "labels",
    "disagreements",
    "review_queue",
    "review_tasks",
    "label_quality",
    "production_accuracy",
    "drift",
    "emerging_intents",
    "context_reception",
    "ledger",
)

FETCH: Final = ("reviews", "labels")
SEND: Final = ("review_queue", "review_tasks")


def build_jobs() -> list:
    """Return every job of the loop.

    ``collect_job`` brings in what happened and what the champion says of it; ``review_job`` fetches answers, settles
    them and sends the next cases, ``fetch_job`` and ``send_job`` do one half of that; it also copies the ledger to its
    table. ``retrain_job`` trains, builds a release and judges it; ``reconcile_job`` makes registry and ledger agree;
    ``maintain_job`` compacts the tables; ``notify_job`` tells people outside.
    """
    from assets.maintenance import maintain_job
    from assets.notifying import notify_job

    return [
        dg.define_asset_job("collect_job", dg.AssetSelection.assets(*COLLECT), description="Bring in what happened."),
        dg.define_asset_job("review_job", dg.AssetSelection.assets(*REVIEW), description="Fetch answers, send cases."),
        dg.define_asset_job("fetch_job", dg.AssetSelection.assets(*FETCH), description="Fetch and settle answers."),
        dg.define_asset_job(
            "send_job", dg.AssetSelection.assets(*SEND), description="Choose the next cases, send them."
        ),
        dg.define_asset_job(
            "retrain_job",
            dg.AssetSelection.groups("training") | dg.AssetSelection.assets("release_challenger"),
            description="Freeze training sets, train, build a release and judge it.",
        ),
        dg.define_asset_job(
            "reconcile_job",
            dg.AssetSelection.assets("release_champion"),
            description="Complete half-applied decisions; put aliases and tags right that were moved by hand.",
        ),
        maintain_job,
        notify_job,
    ]
