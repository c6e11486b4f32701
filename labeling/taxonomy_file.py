"""A label more in a taxonomy's YAML, everything else in the file (comments, order, spelling) left as it is."""

from typing import Any, Final

import yaml

from labeling.config import parse_config
from labeling.errors import ConfigError
from labeling.taxonomy import Label, Taxonomy

_NAME: Final = "taxonomy.yaml"


def add_label(text: str, *, task: str, label: Label) -> str:
    """Return the file with ``label`` at the end of a task's labels, the next version, and a migration that says so.

    Args:
        text: the file as it is, valid.
        task: the name of the task.
        label: the new one.

    Raises:
        ConfigError: the labels of the task are not written one a line, or the file would not be valid with the label
            (its name is taken or was given up); says what to do.
    """
    version = parse_config(yaml.safe_load(text), Taxonomy, name=_NAME).version + 1
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    labels = _find_labels(root, task)
    added = _insert(text, labels, label.model_dump(exclude_defaults=True))
    migration = {"version": version, "tasks": {task: {"add": [label.name]}}}
    migrations = _value(yaml.compose(added, Loader=yaml.SafeLoader), "migrations")
    if migrations is None:
        added = added.rstrip("\n") + "\n" + _dump({"migrations": [migration]}, 0)
    else:
        added = _insert(added, migrations, migration)
    number = _value(yaml.compose(added, Loader=yaml.SafeLoader), "version")
    changed = added[: number.start_mark.index] + str(version) + added[number.end_mark.index :]
    parse_config(yaml.safe_load(changed), Taxonomy, name=_NAME)
    return changed


def _find_labels(root: Any, task: str) -> Any:
    for one in _value(root, "tasks").value:
        if _value(one, "name").value == task:
            return _value(one, "labels")
    raise ConfigError([f"{_NAME}: tasks: {task!r} is not among them: name one that is"])


def _value(mapping: Any, key: str) -> Any:
    """Return the node of ``key`` in a mapping node, None where it is not there."""
    return next((value for name, value in mapping.value if name.value == key), None)


def _insert(text: str, sequence: Any, item: dict[str, Any]) -> str:
    """Return ``text`` with ``item`` behind the last one of a block sequence, indented as the others are."""
    if sequence.flow_style or not sequence.value:
        line = sequence.start_mark.line + 1
        raise ConfigError(
            [f"{_NAME}: line {line}: a list written one item a line is needed, found one in brackets: write it so"]
        )
    lines = text.splitlines(keepends=True)
    last = sequence.value[-1]
    is_block = isinstance(last, yaml.MappingNode) and not last.flow_style  # ends where the next token begins
    end = last.end_mark.line + (0 if is_block else 1)
    while lines[end - 1].lstrip().startswith("#") or not lines[end - 1].strip():
        end -= 1
    if not lines[end - 1].endswith("\n"):
        lines[end - 1] += "\n"
    return "".join([*lines[:end], _dump([item], sequence.start_mark.column), *lines[end:]])


def _dump(value: Any, indent: int) -> str:
    said = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    return "".join(f"{' ' * indent}{line}\n" for line in said.splitlines())
