"""The home that a replay plays in: made from the packaged configs, cleared when a finished replay starts anew."""

import shutil
from collections.abc import Mapping
from typing import Any

import yaml

from assets.settings import load_settings
from labeling.config import read_yaml
from labeling.digests import digest
from labeling.home import Home
from pipelines.packaged import CONFIG_FILES, configs_folder
from pipelines.replay.state import STATE_FILE


def make_stage(home: Home, *, seed: int, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Make the home of a replay; it is a home only when all of it is there. Killed and called again, it goes on.

    The home's key follows from ``seed``, so that the same seed draws the same lots.

    Args:
        home: where; held by this process.
        seed: the replay's.
        changes: file name to the keys that differ from the packaged configs, nested as in the file. A file whose keys
            all stand here is taken from here alone.

    Raises:
        ConfigError: the result does not load.
    """
    draft = home.path / "configs.new"
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(configs_folder() / "recipes", draft / "recipes")
    for name in ("settings.yaml", *CONFIG_FILES):
        source = configs_folder() / ("local.yaml" if name == "settings.yaml" else name)
        if name not in changes:
            shutil.copyfile(source, draft / name)
            continue
        changed = _merge(read_yaml(source), changes[name])
        (draft / name).write_text(yaml.safe_dump(changed, sort_keys=False, allow_unicode=True), encoding="utf-8")
    (home.path / "secrets.env").write_text(f"CXLOOP_KEY={digest(['replay', seed])}\n", encoding="utf-8")
    (home.path / "secrets.env").chmod(0o600)
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
