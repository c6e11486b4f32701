"""The home of a replay: made from the packaged configs with a few changes, whole or not at all."""

import stat

import pytest
import yaml

from assets.settings import load_settings
from labeling.errors import ConfigError
from labeling.home import Home
from pipelines.replay.stage import clear_stage, make_stage
from pipelines.replay.state import STATE_FILE
from tests.faults.stopping import small_disk


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.path.mkdir()
    return home


def read(home, name):
    return yaml.safe_load((home.configs / name).read_text(encoding="utf-8"))


def test_changes_are_merged_into_the_packaged_settings(home, tmp_path):
    plain = Home(tmp_path / "plain")
    plain.path.mkdir()
    make_stage(plain, seed=1, changes={})
    make_stage(home, seed=1, changes={"selection.yaml": {"budget": 7, "lots": {"audit_share": 0.5}}})
    expected = read(plain, "selection.yaml")
    expected["budget"], expected["lots"]["audit_share"] = 7, 0.5
    assert read(home, "selection.yaml") == expected
    assert load_settings(home.configs).selection.budget == 7


def test_a_recipe_is_changed_like_any_other_file(home):
    make_stage(home, seed=1, changes={"recipes/smoke.yaml": {"encoder": {"name": "elsewhere"}}})
    recipes = load_settings(home.configs).recipes
    assert [name for name, recipe in recipes.items() if recipe.encoder.name == "elsewhere"] == ["smoke"]
    assert recipes["smoke"].encoder.max_tokens == 64


def test_the_key_follows_from_the_seed_and_is_for_its_owner_only(home, tmp_path):
    other = Home(tmp_path / "other")
    other.path.mkdir()
    for place, seed in ((home, 1), (other, 2)):
        make_stage(place, seed=seed, changes={})
    assert home.key() != other.key()
    assert stat.S_IMODE((home.path / "secrets.env").stat().st_mode) == 0o600


def test_settings_that_do_not_load_make_no_home_and_the_next_try_does(home):
    with pytest.raises(ConfigError, match="budget"):
        make_stage(home, seed=1, changes={"selection.yaml": {"budget": -1}})
    assert not home.exists
    make_stage(home, seed=1, changes={})
    assert home.exists


def test_clearing_leaves_the_locks_alone(home):
    make_stage(home, seed=1, changes={})
    (home.path / STATE_FILE).touch()
    with home.lock():
        clear_stage(home)
        assert [path.name for path in home.path.iterdir()] == ["run"]
        assert (home.run / "loop.lock").exists()


def test_a_home_half_cleared_still_says_whose_it_is(home):
    (home.path / STATE_FILE).touch()
    for name in ("a-table", "stuck", "tables"):
        (home.path / name).mkdir()
    with small_disk(home.path / "stuck") as no_small_disk:
        if no_small_disk:
            pytest.skip(f"nothing here can be made to resist removal: {no_small_disk}")
        with pytest.raises(OSError, match="busy"):
            clear_stage(home)
        assert (home.path / STATE_FILE).exists()
    clear_stage(home)
    assert not list(home.path.iterdir())
