"""Two small releases that answer otherwise than each other."""

from pathlib import Path

from serving.release import build_release
from tests.serving.policies import policy_of
from tests.small_encoder import small_encoder
from tests.training.parts import saved_model


def build_small_releases(folder: Path) -> tuple[Path, Path]:
    """Build two releases of two tasks each under ``folder``; the second is less sure."""
    policy = policy_of("topic", confidence=0.0)
    for name, temperature in (("one", 1.5), ("two", 9.0)):
        model = saved_model(folder / name, temperature=temperature, encoder_spec=small_encoder())
        build_release({"topic": model, "mood": model}, policy, folder / f"release-{name}")
    return folder / "release-one", folder / "release-two"
