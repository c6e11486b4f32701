"""Personal data out of texts: typed placeholders in its place, before a text touches our disk.

The patterns are data (configs/redaction.yaml). Those without a validator run inside polars, over all texts at once;
those with one (a card's check digit, an IBAN's) run in Python, over the few texts that hold a candidate.
"""

import re
from typing import Final, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from labeling.config import Config

_LINE_BREAKS: Final = r"\r\n|[\r\x{85}\x{2028}\x{2029}]"
_UNWANTED: Final = r"[\p{Cc}\x{AD}\x{200B}\x{2060}\x{FEFF}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{FFFE}\x{FFFF}--[\n\t]]"
"""Control characters but for newline and tab; invisible marks that split a word or turn its direction round."""


class RedactionRule(Config):
    """One kind of personal data: what it looks like, and the check that tells it from other numbers.

    ``pattern`` is in the syntax of Rust's regular expressions (no look-around); with a validator, in the part of it
    that Python's share.
    """

    kind: str = Field(pattern=r"^[A-Z][A-Z_]{1,31}$")
    pattern: str = Field(min_length=1)
    validator: Literal["none", "luhn", "iban"] = "none"

    @model_validator(mode="after")
    def _check_pattern(self) -> Self:
        try:
            if self.validator != "none":
                re.compile(self.pattern)
            matches_nothing = pl.Series([""]).str.contains(self.pattern).item()
        except (re.error, pl.exceptions.ComputeError):
            raise ValueError(
                "the pattern does not compile (with a validator: in Rust's and in Python's syntax)"
            ) from None
        if matches_nothing:
            raise ValueError("the pattern matches the empty text, so it would redact everywhere")
        return self


class RedactionRules(Config):
    """configs/redaction.yaml: the rules in the order in which they are applied."""

    schema_version: Literal[1]
    rules: tuple[RedactionRule, ...]


def clean_texts(texts: pl.Series) -> pl.Series:
    """Return ``texts`` in Unicode NFC, one kind of line break, without control characters or outer space."""
    return (
        texts.str.normalize("NFC").str.replace_all(_LINE_BREAKS, "\n").str.replace_all(_UNWANTED, "").str.strip_chars()
    )


def redact_texts(texts: pl.Series, rules: RedactionRules) -> pl.Series:
    """Return ``texts`` cleaned, with personal data replaced by placeholders such as ``<EMAIL>``; null stays null."""
    texts = clean_texts(texts)
    for rule in rules.rules:
        if rule.validator == "none":
            texts = texts.str.replace_all(rule.pattern, f"<{rule.kind}>")
        else:
            texts = _redact_validated(texts, rule)
    return texts


def _redact_validated(texts: pl.Series, rule: RedactionRule) -> pl.Series:
    candidates = texts.str.contains(rule.pattern).fill_null(value=False).arg_true()
    if candidates.is_empty():
        return texts
    pattern = re.compile(rule.pattern)
    redacted = [pattern.sub(lambda match: _cut_valid(match[0], rule), text) for text in texts.gather(candidates)]
    return texts.scatter(candidates, redacted)


def _cut_valid(candidate: str, rule: RedactionRule) -> str:
    """Replace the longest run of whole words in ``candidate`` that passes the rule's validator.

    A match may hold a neighbour's digits too ("card 4111 1111 1111 1111 12/27"), hence the search; it has at most
    some twenty words.
    """
    is_valid = _is_card if rule.validator == "luhn" else _is_iban
    words = [match.span() for match in re.finditer(r"[^ -]+", candidate)]
    spans = sorted(
        ((start, end) for first, (start, _) in enumerate(words) for _, end in words[first:]),
        key=lambda span: span[0] - span[1],
    )
    for start, end in spans:
        if is_valid(re.sub(r"[ -]", "", candidate[start:end])):
            return f"{candidate[:start]}<{rule.kind}>{candidate[end:]}"
    return candidate


def _is_card(digits: str) -> bool:
    """Whether ``digits`` are as many as a card's and pass Luhn's check (ISO/IEC 7812-1)."""
    if not (13 <= len(digits) <= 19 and digits.isascii() and digits.isdigit()) or len(set(digits)) == 1:
        return False
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _is_iban(text: str) -> bool:
    """Whether ``text`` has an IBAN's length and its remainder of 1 by 97 (ISO 13616, ISO/IEC 7064)."""
    if not (15 <= len(text) <= 34 and text.isascii() and text.isalnum()):
        return False
    turned = (text[4:] + text[:4]).upper()
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1
