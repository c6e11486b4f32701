"""The hand-written sentences: enough of them, truly different, apart from the guide, and nobody's data in them."""

import re
import shutil
from itertools import combinations
from pathlib import Path

import pytest

from labeling.config import load_config
from labeling.errors import ConfigError
from labeling.taxonomy import Taxonomy
from pipelines.replay import stock as stock_module
from pipelines.replay.stock import Stock, load_stock

CONFIGS = Path(__file__).parents[3] / "configs"
COMPANY = Path(stock_module.__file__).parent / "company"
NEAR_EQUAL = 0.5
"""Jaccard similarity of the words from which on two phrasings are the same thing said again."""


@pytest.fixture(scope="module")
def stock() -> Stock:
    return load_stock()


@pytest.fixture(scope="module")
def taxonomy() -> Taxonomy:
    return load_config(CONFIGS / "taxonomy.yaml", Taxonomy)


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9']+", re.sub(r"\{\w+\}", " ", text.lower())))


def likeness(one: str, other: str) -> float:
    return len(words(one) & words(other)) / max(len(words(one) | words(other)), 1)


def test_the_intents_and_domains_are_those_of_the_taxonomy(stock: Stock, taxonomy: Taxonomy) -> None:
    intent = taxonomy.task("intent")
    assert len(intent.labels) == 25
    assert {label.name: label.domain for label in intent.labels} == stock.domain_of
    assert set(taxonomy.task("sentiment").label_names) == set(stock.moods.by_label)
    assert set(stock.replies.by_domain) == {*stock.domain_of.values(), "General"}


def test_each_intent_is_said_in_twelve_ways_at_least(stock: Stock) -> None:
    assert min(len(intent.phrasings) for intent in stock.intents.values()) >= 12
    assert len(stock.out_of_scope.messages) >= 40


def test_no_two_phrasings_of_an_intent_are_near_equal(stock: Stock) -> None:
    near = [
        (name, one, other)
        for name, intent in stock.intents.items()
        for one, other in combinations(intent.phrasings, 2)
        if likeness(one, other) >= NEAR_EQUAL
    ]
    assert near == []


def test_no_sentence_stands_twice(stock: Stock) -> None:
    moods = [text for mood in stock.moods.by_label.values() for text in (*mood.before, *mood.after)]
    phrasings = [text for intent in stock.intents.values() for text in intent.phrasings]
    said = [*phrasings, *stock.out_of_scope.messages, *stock.out_of_scope.acknowledgements, *moods]
    assert sorted(text for text in set(said) if said.count(text) > 1) == []


def test_phrasings_differ_in_length_and_in_form(stock: Stock) -> None:
    for name, intent in stock.intents.items():
        lengths = [len(text.split()) for text in intent.phrasings]
        assert max(lengths) >= 2 * min(lengths), name
        assert 0 < sum(text.endswith("?") for text in intent.phrasings) < len(lengths), name


def test_no_example_of_the_guide_is_in_the_feed(stock: Stock, taxonomy: Taxonomy) -> None:
    phrasings = [text for intent in stock.intents.values() for text in intent.phrasings]
    moods = [text for mood in stock.moods.by_label.values() for text in (*mood.before, *mood.after)]
    examples = [example for task in taxonomy.tasks for label in task.labels for example in label.examples]
    assert len(examples) == 56
    near = [
        (example, text)
        for example in examples
        for text in (*phrasings, *moods, *stock.out_of_scope.messages)
        if likeness(example, text) >= NEAR_EQUAL
    ]
    assert near == []


def test_every_brace_has_values(stock: Stock) -> None:
    used = set()
    for path in COMPANY.glob("*.yaml"):
        used |= set(
            re.findall(r"\{(\w+)\}", re.sub(r"^#.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE))
        )
    assert used == set(stock.surroundings.slots)


def test_card_numbers_and_ibans_carry_valid_check_digits(stock: Stock) -> None:
    for card in stock.surroundings.slots["card"]:
        digits = [int(letter) for letter in re.sub(r"\D", "", card)][::-1]
        doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
        assert (sum(digits[::2]) + sum(doubled)) % 10 == 0, card
    for iban in stock.surroundings.slots["iban"]:
        packed = iban.replace(" ", "")
        assert int("".join(str(int(letter, 36)) for letter in packed[4:] + packed[:4])) % 97 == 1, iban


def test_phone_numbers_and_addresses_belong_to_nobody(stock: Stock) -> None:
    drama = r"(07700900\d{3}|02079460\d{3}|01(17|31|61)4960\d{3})"
    for phone in stock.surroundings.slots["phone"]:
        assert re.fullmatch(drama, re.sub(r"\D", "", phone.replace("+44", "0"))), phone
    for email in stock.surroundings.slots["email"]:
        assert re.search(r"@(example\.(com|org|net|co\.uk)|\w+\.example)$", email), email


def test_a_wrong_company_names_file_and_place(tmp_path: Path) -> None:
    shutil.copytree(COMPANY, tmp_path / "company")
    moods = tmp_path / "company" / "moods.yaml"
    moods.write_text(moods.read_text(encoding="utf-8").replace("share: 0.2", "share: 0.3"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"moods\.yaml: .*make 1, found 1\.100"):
        load_stock(tmp_path / "company")
