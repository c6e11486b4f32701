"""Two small releases that answer otherwise than each other."""

from pathlib import Path

from serving.handoff import HandoffConfig, HandoffPolicy, Threshold
from serving.release import build_release
from tests.small_encoder import small_encoder
from tests.training.parts import saved_model


def build_small_releases(folder: Path) -> tuple[Path, Path]:
    """Build two releases of two tasks each under ``folder``; the second is less sure."""
    config = HandoffConfig(schema_version=1, promised_error_share=0.2, confidence=0.9, min_cases=30)
    fitted = Threshold(threshold=0.0, cases=100, kept=50, wrong=0, error_bound=0.05)
    policy = HandoffPolicy(config=config, thresholds={"topic": fitted})
    for name, temperature in (("one", 1.5), ("two", 9.0)):
        model = saved_model(folder / name, temperature=temperature, encoder_spec=small_encoder())
        build_release({"topic": model, "mood": model}, policy, folder / f"release-{name}")
    return folder / "release-one", folder / "release-two"
