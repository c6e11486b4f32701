"""What ``cxloop replay`` plays: labelled files, a part as history and the rest as weeks of messages."""

from dataclasses import asdict, dataclass
from math import ceil
from typing import Final

from labeling.config import load_config
from labeling.selection.policy import SelectionPolicy
from pipelines.packaged import configs_folder
from pipelines.replay.labelled_file import FileRates, derive_taxonomy, play_files, read_labelled
from pipelines.replay.people import SimulatedPeople
from pipelines.replay.playing import Script
from pipelines.replay.rates import DemoConfig

_AUDIT_SHARE: Final = 0.1
_MIN_CASES: Final = 10
"""A seed part of some hundred labels surely holds so many sealed cases; it is to give the first champion."""
_SPARE: Final = 1.15
"""History rows beyond what the shares ask for, because the lots are drawn by chance."""


@dataclass(frozen=True)
class FileOptions:
    """What the command was given; ``files`` maps task to file or hub id."""

    files: dict[str, str]
    seed_labels: int
    weeks: int
    reviews: int
    strategy: str
    seed: int
    desk: str


def labelled_script(options: FileOptions) -> Script:
    """Return the script that plays ``options.files``.

    Raises:
        ConfigError: a file is missing or not a labelled file, or too small.
    """
    config = load_config(configs_folder() / "demo.yaml", DemoConfig)
    packaged = load_config(configs_folder() / "selection.yaml", SelectionPolicy)
    files = [read_labelled(source, task=task) for task, source in options.files.items()]
    taxonomy = derive_taxonomy(files)
    rates = FileRates(weeks=options.weeks, history=ceil(options.seed_labels / (1 - _AUDIT_SHARE) * _SPARE))
    lots = packaged.lots.model_dump() | {"audit_share": _AUDIT_SHARE}
    rows = [row for file in files for row in file.rows]
    shown = [row.text for row in rows if row.split != "train"] or [row.text for row in rows]
    return Script(
        title=f"A replay of {' and '.join(options.files.values())}",
        options={"kind": "replay", **asdict(options)},
        seed=options.seed,
        desk=options.desk,
        weeks=options.weeks,
        seed_labels=options.seed_labels * len(files),
        changes={
            "taxonomy.yaml": taxonomy.model_dump(mode="json"),
            "selection.yaml": {
                "budget": options.reviews,
                "cap_per_person": max(1, options.reviews),
                "strategy": options.strategy,
                "lots": lots,
            },
            "handoff.yaml": {"high_risk_labels": [], "tasks": []},
            "gates.yaml": {"min_cases": _MIN_CASES},
        },
        feed=lambda start: play_files(files, rates=rates, seed=options.seed, start=start),
        people=lambda crowd: SimulatedPeople(config, taxonomy, seed=options.seed, crowd=crowd),
        live_texts=tuple(shown[:3]),
    )
