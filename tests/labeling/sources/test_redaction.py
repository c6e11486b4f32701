from pathlib import Path

import polars as pl
import pytest

from labeling.config import load_config, parse_config
from labeling.errors import ConfigError
from labeling.sources.redaction import RedactionRules, clean_texts, redact_texts

CONFIGS = Path(__file__).parents[3] / "configs"
RULES = load_config(CONFIGS / "redaction.yaml", RedactionRules)


def redact(text: str | None) -> str | None:
    return redact_texts(pl.Series([text], dtype=pl.String), RULES).item()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to Bob.O'Hara+x@mail.example.co.uk, please", "write to <EMAIL>, please"),
        ("jörg@müller.example and a@b.cd", "<EMAIL> and <EMAIL>"),
        ("card 4111 1111 1111 1111 12/27", "card <CARD> 12/27"),
        ("card 4111-1111-1111-1111.", "card <CARD>."),
        ("378282246310005 is my amex", "<CARD> is my amex"),
        ("ref 55 4111111111111111 ok", "ref 55 <CARD> ok"),
        ("IBAN GB82 WEST 1234 5698 7654 32 please", "IBAN <IBAN> please"),
        ("de89370400440532013000", "<IBAN>"),
        ("call +49 (0)30 1234-5678 now", "call <PHONE> now"),
        ("call 0044 20 7946 0958", "call <PHONE>"),
        ("call (555) 010-1234 or 07700900123", "call <PHONE> or <PHONE>"),
    ],
)
def test_personal_data_becomes_a_typed_placeholder(text, expected):
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "I paid 1,234.56 on 2026-03-01 at 10:30",
        "order 4111111111111112 is late",
        "GB82WEST12345698765433 is no IBAN",
        "0000000000000000",
        "meet me @ noon, 12/05/2026",
        "the fee was 100.000 for 24 months",
        "<EMAIL>",
    ],
)
def test_other_numbers_stay(text):
    assert redact(text) == text


def test_control_characters_go_and_markup_stays():
    text = "  e\u0301<script>alert(1)</script>\x00\x1b[31m\u202e\ufeff\r\nnext\tone\u2028end\x85 "
    assert redact(text) == "é<script>alert(1)</script>[31m\nnext\tone\nend"


def test_an_address_split_by_an_invisible_mark_is_redacted():
    assert redact("bo\u200bb@exam\u00adple.org") == "<EMAIL>"


def test_null_stays_null_and_cleaning_twice_changes_nothing():
    texts = pl.Series([None, " a\r\nb ", ""], dtype=pl.String)
    once = redact_texts(texts, RULES)
    assert once.to_list() == [None, "a\nb", ""]
    assert redact_texts(once, RULES).equals(once)
    assert clean_texts(once).equals(once)


def test_rules_without_patterns_redact_nothing():
    nothing = RedactionRules(schema_version=1, rules=())
    assert redact_texts(pl.Series(["a@b.cd"]), nothing).item() == "a@b.cd"


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ({"kind": "EMAIL", "pattern": "("}, "does not compile"),
        ({"kind": "EMAIL", "pattern": "(?=x)x"}, "does not compile"),
        ({"kind": "EMAIL", "pattern": "x*"}, "empty text"),
        ({"kind": "email", "pattern": "x"}, "kind"),
        ({"kind": "EMAIL", "pattern": "x", "validator": "guess"}, "validator"),
    ],
)
def test_a_wrong_rule_is_a_fault_with_its_place(rule, fault):
    with pytest.raises(ConfigError, match=fault) as caught:
        parse_config({"schema_version": 1, "rules": [rule]}, RedactionRules, name="redaction.yaml")
    assert "rules.0" in str(caught.value)
