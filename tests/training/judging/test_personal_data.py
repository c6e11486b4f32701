import json
from pathlib import Path

import pytest

from labeling.config import load_config
from labeling.sources.redaction import RedactionRules
from tests.training.judging.sample_case import sample_contents
from training.judging.personal_data import PersonalData, find_personal_data

RULES = Path(__file__).parents[3] / "configs" / "redaction.yaml"
EMAIL = "ada@example.com"


@pytest.fixture(scope="module")
def rules():
    return load_config(RULES, RedactionRules)


def test_a_case_file_is_clean(rules):
    assert find_personal_data(sample_contents(cases=200).documents(), rules) == ()


def test_what_is_found_is_counted_where_it_stands_and_never_shown(rules):
    documents = {
        "labels.json": json.dumps({"intent": ["refund", f"from {EMAIL} to bob@example.org"]}),
        "keys.json": json.dumps({f"as {EMAIL}": 1}),
        "rows.jsonl": '{"label": "fee"}\n' + json.dumps({"label": "call +49 30 1234 5678"}),
        "plots/x.svg": f"<svg><!-- {EMAIL} --><path d='M 4111 1111 1111 1111'/><text>4111 1111 1111 1111</text></svg>",
        "model_card.md": f"# A\n\nAsk {EMAIL}.",
        "recipe.yaml": "epochs: 4",
    }
    found = find_personal_data(documents, rules)
    assert found == (
        PersonalData("keys.json", "EMAIL", 1),
        PersonalData("labels.json", "EMAIL", 2),
        PersonalData("model_card.md", "EMAIL", 1),
        PersonalData("plots/x.svg", "CARD", 1),
        PersonalData("plots/x.svg", "EMAIL", 1),
        PersonalData("rows.jsonl", "PHONE", 1),
    )
    assert EMAIL not in str(found)


def test_numbers_digests_versions_ids_and_our_own_people_are_none(rules):
    documents = {
        "scores.json": json.dumps({"p": [0.4111111111111111, 4111111111111111], "text_digest": "4111111111111111" * 4}),
        "data.json": json.dumps({"annotators": {EMAIL: 3}, "authors": [EMAIL], "interaction_id": "4111111111111111"}),
        "environment.txt": "opencv-python==4.11.0.86\n",
    }
    assert find_personal_data(documents, rules) == ()


def test_a_placeholder_is_no_find(rules):
    assert find_personal_data({"labels.json": json.dumps(["from <EMAIL>"])}, rules) == ()
