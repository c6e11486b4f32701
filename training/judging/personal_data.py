"""Is there personal data in what goes with a model: label lists, model cards, case files?"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import polars as pl
import yaml

from labeling.sources.redaction import RedactionRules, redact_texts

_PASSED_OVER: Final = frozenset({"annotators", "authors", "interaction_id"})
"""Keys below which people who work here, and messages, are named."""

_DIGEST: Final = re.compile(r"\b[0-9a-f]{12,64}\b")
_DRAWN: Final = re.compile(r"<!--(.*?)-->|>([^<>]+)<", re.DOTALL)
_PLACEHOLDER: Final = re.compile(r"<([A-Z][A-Z_]+)>")


@dataclass(frozen=True)
class PersonalData:
    """So many finds of one ``kind`` (EMAIL, CARD, …) in one document, never what was found."""

    document: str
    kind: str
    count: int


def find_personal_data(documents: Mapping[str, str], rules: RedactionRules) -> tuple[PersonalData, ...]:
    """Look for personal data with the rules that redact messages.

    Names and strings of JSON and YAML are read, their numbers are not: a probability of sixteen digits is no card. The
    same goes for the lines of SVGs and for the versions of packages. Digests say nothing and are passed over, and so
    are the names of annotators and authors and the ids of messages. The name model stays off: it reads sentences, and
    labels are none.

    Args:
        documents: content by path, such as those of a case file; the ending says what it is (.json, .jsonl, .yaml,
            .svg, .txt; anything else is read line by line).
        rules: configs/redaction.yaml.

    Returns:
        What was found, by document and kind; nothing where all is clean.
    """
    read = [(path, text) for path, content in documents.items() for text in _read_strings(path, content)]
    said = pl.Series([_DIGEST.sub("", text) for _, text in read], dtype=pl.String)
    redacted = redact_texts(said, rules.model_copy(update={"names": False}))
    found: Counter[tuple[str, str]] = Counter()
    for (path, _), before, after in zip(read, said, redacted, strict=True):
        if before != after:
            new = Counter(_PLACEHOLDER.findall(after)) - Counter(_PLACEHOLDER.findall(before))
            found.update({(path, kind): count for kind, count in new.items()})
    return tuple(PersonalData(path, kind, count) for (path, kind), count in sorted(found.items()))


def _read_strings(path: str, content: str) -> Iterator[str]:
    ending = PurePosixPath(path).suffix
    if ending == ".json":
        yield from dict.fromkeys(_strings_of(json.loads(content)))
    elif ending == ".jsonl":
        yield from dict.fromkeys(text for line in content.splitlines() for text in _strings_of(json.loads(line)))
    elif ending == ".yaml":
        yield from dict.fromkeys(_strings_of(yaml.safe_load(content)))
    elif ending == ".svg":
        yield from (comment or text for comment, text in _DRAWN.findall(content) if not text.isspace())
    else:
        lines = content.splitlines()
        yield from (line.partition("==")[0] for line in lines) if ending == ".txt" else lines


def _strings_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _strings_of(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from () if key in _PASSED_OVER else _strings_of(each)
