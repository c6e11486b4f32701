"""Load one YAML file into a frozen, closed model, and report every fault in it at once."""

from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from labeling.errors import ConfigError

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where PyYAML was built with it: it reads a home's configs in a tenth of the time, once a run."""


class Config(BaseModel):
    """Base of every configuration section: immutable, and closed against unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Section = TypeVar("Section", bound=Config)


def load_config(path: Path, section: type[Section]) -> Section:
    """Read ``path`` as YAML and validate it as ``section``.

    Raises:
        ConfigError: the file is missing, is not YAML, or does not fit; holds every fault with its place in the file.
    """
    return parse_config(read_yaml(path), section, name=path.name)


def read_yaml(path: Path) -> Any:
    """Return the parsed YAML of ``path``.

    Raises:
        ConfigError: the file is missing, unreadable or not YAML.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - either is a safe one
    except FileNotFoundError:
        raise ConfigError([f"{path.name}: needed, but there is no such file in {path.parent}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path.name}: cannot be read ({type(error).__name__})"]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}" if mark else "somewhere"
        raise ConfigError([f"{path.name}: {place}: not YAML ({error.problem})"]) from error
    except yaml.YAMLError as error:
        raise ConfigError([f"{path.name}: the whole file: not YAML ({type(error).__name__})"]) from error


def parse_config(raw: Any, section: type[Section], *, name: str) -> Section:
    """Validate parsed YAML as ``section``; ``name`` opens each fault.

    Raises:
        ConfigError: holds every fault, each with the path of its key.
    """
    try:
        return section.model_validate(raw)
    except ValidationError as error:
        faults = [
            f"{name}: {'.'.join(str(part) for part in fault['loc']) or 'the whole file'}: {_plain(fault['msg'])}"
            for fault in error.errors(include_url=False, include_input=False)
        ]
        raise ConfigError(faults) from error


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")
