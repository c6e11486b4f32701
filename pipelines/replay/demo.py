"""What ``cxloop demo`` plays: Larkfield, a fictional phone and broadband company."""

from typing import Final

from labeling.config import load_config
from labeling.taxonomy import Taxonomy
from pipelines.packaged import configs_folder
from pipelines.replay.feed import play_feed
from pipelines.replay.people import SimulatedPeople
from pipelines.replay.playing import Script
from pipelines.replay.rates import DemoConfig

_SEED_LABELS: Final = 200
"""About eight an intent: a first champion that is useful, and has much to learn."""
_CHANGES: Final = {
    "settings.yaml": {"retrain": {"recipe": "demo"}},
    "selection.yaml": {
        "budget": 80,
        "cap_per_person": 80,
        "lots": {"parts": {"calibrate": 0.4, "test": 0.4, "estimate": 0.2}},
    },
    "handoff.yaml": {"promised_error_share": 0.25, "confidence": 0.8, "min_cases": 20},
}
"""Settings for a company this small: fewer cases a day, and a promise that a few dozen calibrate cases can show."""

_LIVE_TEXTS: Final = (
    "hi, my phone got stolen on the train this morning, please stop anyone using my number!!",
    "could you tell me why this month's bill is twelve pounds more than usual?",
    "do you happen to know a good pizza place around here",
)


def demo_script(*, seed: int, desk: str) -> Script:
    """Return the demo's script.

    Args:
        seed: decides every message, answer and mistake.
        desk: label_studio or fake.
    """
    config = load_config(configs_folder() / "demo.yaml", DemoConfig)
    taxonomy = load_config(configs_folder() / "taxonomy.yaml", Taxonomy)
    return Script(
        title="Larkfield's support messages",
        options={"kind": "demo", "seed": seed, "desk": desk},
        seed=seed,
        desk=desk,
        weeks=config.feed.weeks,
        seed_labels=_SEED_LABELS,
        changes=_CHANGES,
        feed=lambda start: play_feed(seed, start, rates=config.feed),
        people=lambda crowd: SimulatedPeople(config, taxonomy, seed=seed, crowd=crowd),
        live_texts=_LIVE_TEXTS,
    )
