"""The home that a replay plays in: made from the packaged configs, cleared when a finished replay starts anew."""

import shutil
from collections.abc import Mapping
from typing import Any, Final

import yaml

from assets.settings import load_settings
from labeling.config import read_yaml
from labeling.digests import digest
from labeling.home import Home
from pipelines.packaged import CONFIG_FILES, configs_folder
from pipelines.replay.state import STATE_FILE
from training.registry.people import REVIEWERS
from training.registry.tokens import make_token

REVIEWER: Final = "demo-reviewer"
"""Who decides in a replay."""

REVIEWER_TOKEN: Final = "CXLOOP_DEMO_REVIEWER_TOKEN"  # noqa: S105
"""The secret of the home that holds this reviewer's token."""


def make_stage(home: Home, *, seed: int, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Make the home of a replay; it is a home only when all of it is there. Killed and called again, it goes on.

    The home's key follows from ``seed``, so that the same seed draws the same lots. One reviewer may decide in it.

    Args:
        home: where; held by this process.
        seed: the replay's.
        changes: file name (a recipe's as ``recipes/NAME.yaml``) to the keys that differ from the packaged configs,
            nested as in the file. A file whose keys all stand here is taken from here alone.

    Raises:
        ConfigError: the result does not load.
    """
    draft = home.path / "configs.new"
    shutil.rmtree(draft, ignore_errors=True)
    (draft / "recipes").mkdir(parents=True)
    recipes = sorted(f"recipes/{path.name}" for path in (configs_folder() / "recipes").glob("*.yaml"))
    token, hashed = make_token(REVIEWER)
    reviewers = {"people": [{"name": REVIEWER, "role": "reviewer", "token": hashed}]}
    for name in ("settings.yaml", *CONFIG_FILES, *recipes):
        source = configs_folder() / ("local.yaml" if name == "settings.yaml" else name)
        mine = reviewers if name == REVIEWERS else changes.get(name)
        if not mine:
            shutil.copyfile(source, draft / name)
            continue
        changed = _merge(read_yaml(source), mine)
        (draft / name).write_text(yaml.safe_dump(changed, sort_keys=False, allow_unicode=True), encoding="utf-8")
    secrets = {"CXLOOP_KEY": digest(["replay", seed]), REVIEWER_TOKEN: token}
    (home.path / "secrets.env").touch(mode=0o600)
    lines = "".join(f"{name}={value}\n" for name, value in secrets.items())
    (home.path / "secrets.env").write_text(lines, encoding="utf-8")
    load_settings(draft)
    draft.replace(home.configs)


def clear_stage(home: Home) -> None:
    """Remove everything but the folder of locks, which this process holds.

    What tells whose home this is goes last, so that a home that was half cleared is not taken for its owner's loop.
    """
    for path in sorted(home.path.iterdir(), key=lambda path: path.name == STATE_FILE):
        if path != home.run:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _merge(base: Any, changes: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(changes, Mapping):
        return changes
    return {**base, **{key: _merge(base.get(key), value) for key, value in changes.items()}}
