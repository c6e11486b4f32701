from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

from tests.training.judging.sample_case import SLICES, TASK, sample_contents, sample_facts
from training.judging.model_card import write_model_card


@pytest.fixture(scope="module")
def facts():
    return sample_facts(sample_contents(cases=300, with_plots=False).grounds.tasks[TASK])


def test_hugging_face_reads_it(facts):
    data = ModelCard(write_model_card(facts)).data
    assert data.library_name == "peft"
    assert data.base_model == list(facts.base_models)
    assert data.language == list(SLICES["language"])
    figures = {result.metric_type: result.metric_value for result in data.eval_results or []}
    assert figures["accuracy"] == round(facts.cards[TASK].accuracy, 4)
    assert figures["f1"] == round(facts.cards[TASK].macro_f1, 4)
    assert {result.task_name for result in data.eval_results or []} == {TASK}


def test_people_read_what_it_is_for_and_where_it_is_weak(facts):
    card = write_model_card(facts)
    sections = [line for line in card.splitlines() if line.startswith("## ")]
    assert sections == [
        "## Model details", "## Uses", "## Evaluation: intent", "## Training data: intent",
        "## Bias, risks and limitations",
    ]  # fmt: skip
    scores = facts.cards[TASK].labels
    weakest = min((score.recall, label) for label, score in scores.items() if score.recall is not None)[1]
    assert f"- {TASK} `{weakest}`: " in card
    assert facts.handoff in card
    assert "| channel: phone |" in card
    assert "Judged on 2026-11-20: inconclusive." in card


def test_what_is_not_known_is_left_out(facts):
    bare = replace(facts.cards[TASK], oos_auroc=None, nll=None)
    card = write_model_card(replace(facts, languages=(), cards={TASK: bare}))
    data = ModelCard(card).data
    assert data.language is None
    assert "nll" not in {result.metric_type for result in data.eval_results or []}
    assert "Negative log-likelihood" not in card
