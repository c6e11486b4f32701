"""The stated rates: the packaged file says what the code does by itself, and a wrong one names all its faults."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labeling.config import load_config, parse_config, read_yaml
from labeling.errors import ConfigError
from pipelines.replay.chance import chance, pick
from pipelines.replay.feed import FeedRates
from pipelines.replay.rates import DemoConfig

DEMO = Path(__file__).parents[3] / "configs" / "demo.yaml"


@pytest.fixture
def raw() -> dict[str, Any]:
    return read_yaml(DEMO)


def test_the_packaged_rates_are_those_of_the_code() -> None:
    config = load_config(DEMO, DemoConfig)
    assert config.feed == FeedRates()
    assert len(config.annotators) >= 3
    assert set(config.annotators[0].accuracy) == set(config.agents.notices) == {"intent", "sentiment"}


def test_a_wrong_file_names_every_fault(raw: dict[str, Any]) -> None:
    raw["feed"]["weekly"] = 0
    raw["feed"]["wording"]["aside"] = 1.5
    raw["agents"]["shouts"] = 0.1
    del raw["agents"]["wrong"]
    raw["annotators"][0]["accuracy"]["intent"] = -1
    with pytest.raises(ConfigError) as caught:
        parse_config(raw, DemoConfig, name="demo.yaml")
    places = {fault.split(": ")[1] for fault in caught.value.faults}
    assert places == {
        "feed.weekly",
        "feed.wording.aside",
        "agents.shouts",
        "agents.wrong",
        "annotators.0.accuracy.intent",
    }


def test_two_annotators_of_one_name_are_refused(raw: dict[str, Any]) -> None:
    raw["annotators"].append(raw["annotators"][0])
    with pytest.raises(ConfigError, match="need different names, found: ana, ben, chika, dmitri, ana"):
        parse_config(raw, DemoConfig, name="demo.yaml")


def test_chance_hangs_on_the_seed_and_the_names_only() -> None:
    draws = [chance(*names).random() for names in ((1, "a", "bc"), (1, "ab", "c"), (2, "a", "bc"), (1, "a", "bc"))]
    assert draws[0] == draws[3]
    assert len(set(draws)) == 3


def test_habit_makes_the_first_ones_usual() -> None:
    rng = np.random.default_rng(1)
    items = tuple("abcd")
    even, skewed = ([pick(rng, items, habit) for _ in range(4000)] for habit in (0.0, 1.0))
    assert even.count("d") / 4000 == pytest.approx(0.25, abs=0.03)
    shares = [skewed.count(item) / 4000 for item in items]
    np.testing.assert_allclose(shares, np.array([12, 6, 4, 3]) / 25, atol=0.03)
