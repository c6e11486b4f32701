"""Change the list that a file of settings holds under one key; whatever else is in the file stays as it was written."""

import re
import shutil
from collections.abc import Sequence

import yaml

from labeling.config import Config, parse_config, read_yaml
from labeling.home import Home
from pipelines.packaged import configs_folder


def write_entries(home: Home, file: str, key: str, entries: Sequence[Config], section: type[Config]) -> None:
    """Write ``entries`` as the list under ``key`` of ``file``, which an older home gets from the packaged configs.

    The file is checked as a whole before it takes its place.

    Raises:
        ConfigError: it would not be a ``section``.
    """
    path = home.configs / file
    if not path.exists():
        shutil.copyfile(configs_folder() / file, path)
    content = [entry.model_dump(mode="json") for entry in entries]
    block = yaml.safe_dump({key: content}, sort_keys=False, allow_unicode=True, width=200)
    list_ = re.compile(rf"^{key}:.*\n?(?:(?:[ \t#-].*)?(?:\n|\Z))*", flags=re.MULTILINE)  # down to the next key
    before = path.read_text(encoding="utf-8")
    text = list_.sub(lambda _: block, before) if list_.search(before) else f"{before.rstrip()}\n{block}"
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    parse_config(read_yaml(fresh), section, name=file)
    fresh.replace(path)
