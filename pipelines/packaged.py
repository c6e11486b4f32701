"""Where the configs that come with cxloop are: beside the packages in a checkout, inside them in a wheel."""

from pathlib import Path
from typing import Final

from labeling.errors import ConfigError

CONFIG_FILES: Final = (
    "taxonomy.yaml",
    "selection.yaml",
    "gates.yaml",
    "handoff.yaml",
    "notices.yaml",
    "redaction.yaml",
    "sources.yaml",
    "reviewers.yaml",
    "gateway.yaml",
    "api_keys.yaml",
)
"""The packaged configs that a home takes over under the same name; ``settings.yaml`` is made from a profile."""

PROFILES: Final = ("local", "production")
"""Packaged starting points of ``settings.yaml``."""


def configs_folder() -> Path:
    """Return the folder of the packaged configs.

    Raises:
        ConfigError: neither a checkout nor an installation has it.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / "taxonomy.yaml").is_file():
            return folder
    raise ConfigError(
        [f"configs: needed beside or inside {package}, found none: install cxloop again with `make install`"]
    )
