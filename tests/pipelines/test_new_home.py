"""A home is made whole or not at all, and never over another one."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from assets.settings import load_settings
from labeling.errors import ConfigError, HomeError, SourceError
from labeling.home import Home
from labeling.sources.labelled import LabelledText
from pipelines.new_home import INBOXES, Imported, make_home
from pipelines.packaged import PROFILES

AT = datetime(2026, 3, 1, tzinfo=UTC)
ROWS = [
    LabelledText(str(number), f"text {number}", {"topic": label}, "ann", AT)
    for number, label in enumerate(["Card lost", "Refund"] * 3)
]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_fresh_home_has_no_faults(tmp_path: Path, profile: str) -> None:
    home = Home(tmp_path / "home")
    make_home(home, profile=profile, check=load_settings)
    settings = load_settings(home.configs)
    assert settings.taxonomy.task_names == ("intent", "sentiment")
    assert bool(settings.services.label_studio.url) == (profile == "production")
    assert sorted(folder.name for folder in home.inbox.iterdir()) == sorted(INBOXES)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_imported_labels_bring_their_own_taxonomy(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    make_home(home, profile="local", imported=Imported("csv", ROWS), check=load_settings)
    settings = load_settings(home.configs)
    assert settings.taxonomy.task("topic").label_names == ("card_lost", "refund")
    assert settings.taxonomy.task_names == ("topic",)
    for table in ("interactions", "reviews"):
        assert len((home.inbox / table / "csv.jsonl").read_text().splitlines()) == len(ROWS)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_label_studio_server_that_labels_came_from_is_worked_with(tmp_path: Path, profile: str) -> None:
    home = Home(tmp_path / "home")
    make_home(home, profile=profile, desk_url="https://labels.example:8443", check=load_settings)
    assert load_settings(home.configs).services.label_studio.url == "https://labels.example:8443"


def test_a_place_that_holds_something_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "precious.txt").write_text("mine")
    with pytest.raises(HomeError, match="a new home needs an empty place, found something at"):
        make_home(Home(tmp_path / "home"), profile="local", check=load_settings)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["precious.txt"]


def test_an_empty_folder_may_become_a_home(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    make_home(Home(tmp_path / "home"), profile="local", check=load_settings)
    assert Home(tmp_path / "home").exists


def test_nothing_is_left_where_the_labels_make_no_taxonomy(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        make_home(Home(tmp_path / "home"), profile="local", imported=Imported("csv", []), check=load_settings)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_where_the_settings_do_not_fit(tmp_path: Path) -> None:
    def refuse(configs: Path) -> None:
        raise ConfigError([f"{configs.name}: refused"])

    with pytest.raises(ConfigError, match="configs: refused"):
        make_home(Home(tmp_path / "home"), profile="local", check=refuse)
    assert list(tmp_path.iterdir()) == []


def test_comments_of_the_packaged_handoff_policy_stay(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    make_home(home, profile="local", imported=Imported("csv", ROWS), check=load_settings)
    text = (home.configs / "handoff.yaml").read_text()
    assert text.count("# ") > 3
    assert yaml.safe_load(text)["high_risk_labels"] == []
