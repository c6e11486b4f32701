"""Personal data out of texts: typed placeholders in its place, before a text touches our disk.

The rules are data (configs/redaction.yaml). Those without a validator run inside polars, over all texts at once;
those with one (a card's check digit, an IBAN's) run in Python, over the few texts that hold a candidate. What each rule
needs is asked of every text first, in one cheap pass; most texts hold none of it and are not looked at again.

Digits, dashes and spaces of any script are read as their ASCII forms. A text in which something was found is stored
with those forms; a text in which nothing was found keeps its own.
"""

import re
import unicodedata
from functools import cache
from typing import Final, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from labeling.config import Config
from labeling.sources.identifiers import FINDERS, Validator
from labeling.sources.names import NameFinder, load_name_finder

_LINE_BREAKS: Final = r"\r\n|[\r\x{85}\x{2028}\x{2029}]"
_UNWANTED: Final = (
    r"[\p{Cc}\x{AD}\x{200B}\x{2060}\x{FEFF}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{FDD0}-\x{FDEF}\x{FFFE}\x{FFFF}--[\n\t]]"
)
"""Control characters but for newline and tab; invisible marks that split a word or turn its direction round;
noncharacters, of which we use some as marks."""

_ODD_FORMS: Final = (
    r"[\p{Nd}--0-9]|[\x{A0}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}\x{2010}-\x{2015}\x{2212}\x{2024}\x{FE58}\x{FE63}"
    r"\x{FE6B}\x{FF0B}-\x{FF20}\x{FF21}-\x{FF3A}\x{FF3F}\x{FF41}-\x{FF5A}]|[0-9][\x{200C}\x{200D}]"
)
_JOINED_DIGITS: Final = re.compile("(?<=[0-9])[\u200c\u200d]+(?=[0-9])")
_FIRST_MARK: Final = 0xFDD0
_MOST_PASSES: Final = 8


class RedactionRule(Config):
    """One form of personal data: what it looks like, and the check that tells it from other numbers.

    ``pattern`` is in the syntax of Rust's regular expressions (no look-around); with a validator, in Python's. A group
    named ``before`` is kept: the words that tell a number's kind. ``needs``, in Rust's syntax, is a cheap pattern
    without which ``pattern`` cannot match; it may be left out where there is no validator.
    """

    kind: str = Field(pattern=r"^[A-Z][A-Z_]{1,31}$")
    pattern: str = Field(min_length=1)
    needs: str = ""
    validator: Validator = "none"

    @model_validator(mode="after")
    def _check_pattern(self) -> Self:
        if self.validator != "none" and not self.needs:
            raise ValueError("a rule with a validator needs `needs`, the pattern that picks the texts it looks at")
        try:
            matches_nothing = _matches_nothing(self.gate)
            if self.validator == "none":
                matches_nothing |= _matches_nothing(self.pattern)
            else:
                matches_nothing |= re.search(self.pattern, "") is not None
        except (re.error, pl.exceptions.ComputeError):
            raise ValueError(
                "the pattern does not compile (in Rust's syntax; with a validator: in Python's, and `needs` in Rust's)"
            ) from None
        if matches_nothing:
            raise ValueError("the pattern matches the empty text, so it would redact everywhere")
        return self

    @property
    def gate(self) -> str:
        """The pattern without which a text is not looked at."""
        return self.needs or self.pattern


@cache
def _matches_nothing(pattern: str) -> bool:
    """Whether ``pattern``, in Rust's syntax, matches the empty text; remembered, as the rules are read anew each run.

    Raises:
        polars.exceptions.ComputeError: it does not compile.
    """
    return bool(pl.Series([""]).str.contains(pattern).item())


class RedactionRules(Config):
    """configs/redaction.yaml: the rules in the order in which they are applied.

    ``names`` switches the name model on, where one is installed (labeling/sources/names.py).
    """

    schema_version: Literal[1]
    rules: tuple[RedactionRule, ...]
    names: bool = False

    @model_validator(mode="after")
    def _check_kinds(self) -> Self:
        if len(self.kinds) > 32:
            raise ValueError(f"there may be at most 32 kinds, found {len(self.kinds)}: share some")
        return self

    @property
    def gate(self) -> str:
        """The pattern without which no rule looks at a text; one that matches nothing where there are no rules."""
        return "|".join(dict.fromkeys(f"(?:{rule.gate})" for rule in self.rules)) or r"[^\s\S]"

    @property
    def kinds(self) -> tuple[str, ...]:
        """Every kind once, with that of the name model."""
        return tuple(dict.fromkeys([*(rule.kind for rule in self.rules), "NAME"]))


def clean_texts(texts: pl.Series) -> pl.Series:
    """Return ``texts`` in Unicode NFC, one kind of line break, without control characters or outer space."""
    return (
        texts.str.normalize("NFC").str.replace_all(_LINE_BREAKS, "\n").str.replace_all(_UNWANTED, "").str.strip_chars()
    )


def redact_texts(texts: pl.Series, rules: RedactionRules, *, names: NameFinder | None = None) -> pl.Series:
    """Return ``texts`` cleaned, with personal data replaced by placeholders such as ``<EMAIL>``; null stays null.

    Redacting twice changes nothing more, and no rule reaches into a placeholder.

    Args:
        texts: any strings.
        rules: what to look for.
        names: finds people's names where ``rules.names``; None for the model that is installed.

    Raises:
        ConfigError: ``rules.names``, and no name model is installed; says what to install.
    """
    finder = (names or load_name_finder()) if rules.names else None
    cleaned = clean_texts(texts)
    folded = _fold(cleaned)
    suspects = _find_matching(folded, rules.gate) if finder is None else cleaned.is_not_null().arg_true()
    if suspects.is_empty():
        return cleaned
    before = folded.gather(suspects)
    after = _redact_folded(before, rules, finder)
    kept = after.zip_with(after != before, cleaned.gather(suspects))
    return _replace_at(cleaned, suspects, kept)


def _find_matching(texts: pl.Series, pattern: str) -> pl.Series:
    return texts.str.contains(pattern).fill_null(value=False).arg_true()


def _replace_at(texts: pl.Series, places: pl.Series, values: list[str] | pl.Series) -> pl.Series:
    return texts.clone().scatter(places, values)  # scatter alone changes the series that it is called on


def _fold(texts: pl.Series) -> pl.Series:
    """Return ``texts`` with the digits, dashes, spaces and full-width letters of any script in their ASCII forms."""
    odd = _find_matching(texts, _ODD_FORMS)
    if odd.is_empty():
        return texts
    table = _ascii_forms()
    return _replace_at(texts, odd, [_JOINED_DIGITS.sub("", text.translate(table)) for text in texts.gather(odd)])


@cache
def _ascii_forms() -> dict[int, str]:
    """Return the ASCII form of each character that has one, but for "<" and ">": they make no placeholder."""
    wide = {0xFEE0 + code: chr(code) for code in range(0x21, 0x7F) if chr(code) not in "<>"}
    spaces = dict.fromkeys([0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000], " ")
    dashes = dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63], "-")
    digits = {code: str(unicodedata.decimal(chr(code))) for code in range(0x80, 0x20000) if chr(code).isdecimal()}
    return {**wide, **spaces, **dashes, **digits, 0x2024: ".", 0xFE6B: "@"}


def _redact_folded(texts: pl.Series, rules: RedactionRules, finder: NameFinder | None) -> pl.Series:
    """Apply the rules until they find nothing more; a placeholder stands as one mark that no rule knows meanwhile."""
    marks = {kind: chr(_FIRST_MARK + place) for place, kind in enumerate(rules.kinds)}
    placeholders = [f"<{kind}>" for kind in marks]
    texts = texts.str.replace_many(placeholders, list(marks.values()))
    open_places = pl.Series(range(len(texts)), dtype=pl.UInt32)
    for _ in range(_MOST_PASSES):
        before = texts.gather(open_places)
        after = before
        for rule in _find_needed(before, rules):
            after = _apply_rule(after, rule, marks[rule.kind])
        texts = _replace_at(texts, open_places, after)
        open_places = open_places.filter(after != before)
        if open_places.is_empty():
            break
    if finder is not None:
        texts = _redact_names(texts, finder, marks["NAME"])
    return texts.str.replace_many(list(marks.values()), placeholders)


def _find_needed(texts: pl.Series, rules: RedactionRules) -> list[RedactionRule]:
    """Return the rules that any of ``texts`` has a candidate for: all are asked for at once, which few calls make."""
    if not rules.rules:
        return []
    any_has = pl.select(pl.lit(texts).str.contains(rule.gate).any().alias(str(n)) for n, rule in enumerate(rules.rules))
    return [rule for rule, is_needed in zip(rules.rules, any_has.row(0), strict=True) if is_needed]


def _apply_rule(texts: pl.Series, rule: RedactionRule, mark: str) -> pl.Series:
    candidates = _find_matching(texts, rule.gate)
    if candidates.is_empty():
        return texts
    if rule.validator == "none":
        mark = f"${{before}}{mark}" if "(?P<before>" in rule.pattern else mark
        return _replace_at(texts, candidates, texts.gather(candidates).str.replace_all(rule.pattern, mark))
    pattern, find_valid = re.compile(rule.pattern), FINDERS[rule.validator]

    def cut(match: re.Match[str]) -> str:
        start = match.end("before") if "before" in pattern.groupindex else match.start()
        kept, candidate, place = match.string[match.start() : start], match.string[start : match.end()], 0
        for first, last in find_valid(candidate):
            kept += candidate[place:first] + mark
            place = last
        return kept + candidate[place:]

    return _replace_at(texts, candidates, [pattern.sub(cut, text) for text in texts.gather(candidates)])


def _redact_names(texts: pl.Series, finder: NameFinder, mark: str) -> pl.Series:
    redacted = []
    for text, spans in zip(texts, finder.find_names(texts.to_list()), strict=True):
        kept, place = "", 0
        for start, end in sorted(spans):
            if start >= place and not re.search("[\ufdd0-\ufdef]", text[start:end]):
                kept += text[place:start] + mark
                place = end
        redacted.append(kept + text[place:])
    return pl.Series(texts.name, redacted, dtype=pl.String)
