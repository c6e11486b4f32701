import re
from pathlib import Path

import pytest

from labeling.config import load_config, parse_config
from labeling.errors import ConfigError
from training.recipe import Recipe

FILES = sorted((Path(__file__).parents[2] / "configs" / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_recipe_loads_and_opens_with_its_command(path):
    recipe = load_config(path, Recipe)
    first = path.read_text().splitlines()[0]
    assert re.match(rf"# cxloop train \w+ --recipe {path.stem} ", first)
    assert f"retrain.recipe: {path.stem}" in first
    assert (recipe.encoder.name == "packaged") == (path.stem != "multilingual")


def test_there_is_a_recipe_for_each_purpose():
    assert [path.stem for path in FILES] == ["default", "demo", "gpu", "intent", "multilingual", "sentiment", "smoke"]


def test_parameters_are_flat():
    parameters = load_config(FILES[0], Recipe).parameters()
    assert parameters["lora.rank"] == 8
    assert parameters["encoder.name"] == "packaged"
    assert not [value for value in parameters.values() if isinstance(value, dict)]


def test_a_wrong_recipe_names_every_fault():
    raw = load_config(FILES[0], Recipe).model_dump() | {"epochs": -1, "precision": "fp8", "speed": "high"}
    raw["lora"]["rank"] = 0
    with pytest.raises(ConfigError) as caught:
        parse_config(raw, Recipe, name="mine.yaml")
    assert {fault.split(": ")[1] for fault in caught.value.faults} == {"epochs", "precision", "speed", "lora.rank"}
