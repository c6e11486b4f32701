"""Make a home folder: all of it or, where anything goes wrong, nothing."""

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from labeling.errors import HomeError
from labeling.home import Home
from labeling.sources.labelled import LabelledText
from pipelines.importing import derive_taxonomy, write_inbox
from pipelines.packaged import CONFIG_FILES, configs_folder

INBOXES = ("interactions", "corrections", "escalations", "context_feedback", "reviews")
"""The folders of a home's inbox, one a table; sources.yaml names them."""


@dataclass(frozen=True)
class Imported:
    """Labels to start from; ``origin`` is one word for where they come from."""

    origin: str
    rows: Sequence[LabelledText]


def make_home(
    home: Home, *, profile: str, imported: Imported | None = None, desk_url: str = "", check: Callable[[Path], Any]
) -> None:
    """Write ``home`` with its configs and inbox.

    Args:
        home: where; must not exist, or be an empty folder.
        profile: which packaged settings to start from, ``local`` or ``production``.
        imported: labels to start from; their taxonomy replaces the packaged one.
        desk_url: the Label Studio server to work with; empty means what the profile says.
        check: called with the configs folder before the home takes its place; raises ConfigError on a fault.

    Raises:
        HomeError: there is something at that place already.
        SourceError: the imported labels make no taxonomy.
        ConfigError: the packaged configs do not fit the imported labels.
    """
    refuse_existing(home)
    home.path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{home.path.name}-", dir=home.path.parent))
    try:
        _write_configs(draft / "configs", profile, desk_url)
        for table in INBOXES:
            (draft / "inbox" / table).mkdir(parents=True)
        if imported:
            _write_imported(draft, imported)
        check(draft / "configs")
        _put_in_place(draft, home)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def refuse_existing(home: Home) -> None:
    """Raise HomeError where there is something at the home's place already."""
    if home.path.exists() and (not home.path.is_dir() or any(home.path.iterdir())):
        raise HomeError(
            f"a new home needs an empty place, found something at {home.path}: "
            "name another folder with --home or CXLOOP_HOME, or move that one away"
        )


def _write_configs(folder: Path, profile: str, desk_url: str) -> None:
    packaged = configs_folder()
    folder.mkdir()
    for name in CONFIG_FILES:
        shutil.copyfile(packaged / name, folder / name)
    shutil.copytree(packaged / "recipes", folder / "recipes")
    settings = (packaged / f"{profile}.yaml").read_text(encoding="utf-8")
    if desk_url:
        current = yaml.safe_load(settings)["label_studio"]["url"]
        spelled = f'"{current}"' if f'url: "{current}"' in settings else current
        settings = settings.replace(f"url: {spelled}", f"url: {desk_url}", 1)
    (folder / "settings.yaml").write_text(settings, encoding="utf-8")


def _write_imported(draft: Path, imported: Imported) -> None:
    taxonomy, names = derive_taxonomy(imported.rows)
    head = (
        f"# Made from the labels of {imported.origin}. Give each label a domain (a group on the labelling page),\n"
        "# a description and examples; raise version when you change labels.\n"
    )
    text = yaml.safe_dump(taxonomy, sort_keys=False, allow_unicode=True, width=110)
    (draft / "configs" / "taxonomy.yaml").write_text(head + text, encoding="utf-8")
    _fit_handoff(draft / "configs" / "handoff.yaml", taxonomy)
    write_inbox(draft / "inbox", imported.rows, names, origin=imported.origin)


def _fit_handoff(path: Path, taxonomy: dict[str, Any]) -> None:
    """Take out of the packaged handoff policy what speaks of the demo's tasks and labels only."""
    tasks = {task["name"] for task in taxonomy["tasks"]}
    labels = {label["name"] for task in taxonomy["tasks"] for label in task["labels"]}
    text = path.read_text(encoding="utf-8")
    for key, known in (("tasks", tasks), ("high_risk_labels", labels)):
        packaged = yaml.safe_load(text)[key]
        text = _replace_block(text, key, [name for name in packaged if name in known])
    path.write_text(text, encoding="utf-8")


def _replace_block(text: str, key: str, value: Any) -> str:
    """Return the YAML ``text`` with another value under its top-level ``key``; comments stay."""
    block = yaml.safe_dump({key: value}, sort_keys=False)
    return re.sub(rf"^{key}:.*\n(?:[ \t].*\n)*", lambda _: block, text, flags=re.MULTILINE)


def _put_in_place(draft: Path, home: Home) -> None:
    draft.chmod(0o700)
    try:
        draft.rename(home.path)
    except OSError as error:
        raise HomeError(f"home {home.path} cannot be made there ({error.strerror}): choose another folder") from error
