from pathlib import Path

import numpy as np
import pytest
import yaml

from labeling.config import load_config, parse_config
from labeling.errors import ConfigError, TrainingError
from labeling.taxonomy import Label, Task, Taxonomy
from labeling.vocabulary import NONE_OF_THESE
from serving.handoff import (
    CalibrateAnswers,
    HandoffConfig,
    HandoffPolicy,
    TaskAnswers,
    bound_error,
    fit_handoff,
    fit_threshold,
)

CONFIG = Path(__file__).parents[2] / "configs" / "handoff.yaml"


def config(**changes):
    settings = {"schema_version": 1, "promised_error_share": 0.2, "confidence": 0.9, "min_cases": 30}
    return HandoffConfig(**(settings | changes))


def answers(rng, cases, *, sharpness=1.0):
    """Cases whose chance of being right is their confidence to the power of ``sharpness``."""
    confidences = rng.uniform(0.2, 1.0, cases)
    return CalibrateAnswers(confidences, rng.uniform(size=cases) < confidences**sharpness)


def test_the_packaged_config_loads_and_every_fault_of_a_wrong_one_is_told():
    assert load_config(CONFIG, HandoffConfig).promised_error_share == 0.2
    raw = yaml.safe_load(CONFIG.read_text())
    wrong = raw | {"promised_error_share": 1.5, "confidence": 0, "min_cases": 0, "schema_version": 2, "extra": 1}
    with pytest.raises(ConfigError) as caught:
        parse_config(wrong, HandoffConfig, name="handoff.yaml")
    places = {fault.split(": ")[1] for fault in caught.value.faults}
    assert places == {"promised_error_share", "confidence", "min_cases", "schema_version", "extra"}


def test_names_that_the_taxonomy_lacks_are_found():
    labels = (Label(name="refund", title="Refund"), Label(name="fraud", title="Fraud"))
    task = Task(name="intent", question="?", labels=labels, rejects=True)
    taxonomy = Taxonomy(schema_version=1, version=1, tasks=(task,))
    assert config(tasks=("intent",), high_risk_labels=("fraud", NONE_OF_THESE)).find_faults(taxonomy) == []
    assert config(tasks=("mood",), high_risk_labels=("theft",)).find_faults(taxonomy) == [
        "tasks: 'mood' is not a task of taxonomy.yaml",
        "high_risk_labels: 'theft' is not a label of taxonomy.yaml",
    ]


def test_the_bound_is_clopper_and_pearson_s():
    assert bound_error(0, 29, 0.95) == pytest.approx(1 - 0.05 ** (1 / 29))
    assert bound_error(5, 100, 0.95) == pytest.approx(0.1022, abs=1e-4)  # published tables
    assert bound_error(3, 3, 0.95) == 1.0


def test_the_laxest_threshold_that_keeps_the_promise_is_found():
    confidences = np.repeat([0.95, 0.85, 0.75, 0.65], 50)
    correct = np.concatenate([np.arange(50) >= wrong for wrong in (0, 2, 4, 40)])
    fitted = fit_threshold(CalibrateAnswers(confidences, correct), config())
    assert (fitted.threshold, fitted.kept, fitted.wrong, fitted.cases) == (0.66, 150, 6, 200)
    assert fitted.error_bound == bound_error(6, 150, 0.9)


def test_the_search_ends_at_the_first_failure_even_if_a_laxer_one_looks_good():
    confidences = np.repeat([0.95, 0.85, 0.75], [40, 40, 4000])
    correct = np.concatenate([np.ones(40), np.zeros(40), np.ones(4000)])
    assert fit_threshold(CalibrateAnswers(confidences, correct), config()).kept == 40


def test_every_setting_changes_the_fit():
    rng = np.random.default_rng(3)
    said = answers(rng, 800)
    base = fit_threshold(said, config())
    assert base.threshold is not None
    assert fit_threshold(said, config(promised_error_share=0.15)).kept < base.kept
    assert fit_threshold(said, config(confidence=0.999)).kept < base.kept
    assert fit_threshold(said, config(min_cases=801)).threshold is None
    two = {"intent": said, "mood": answers(rng, 800, sharpness=3.0)}
    assert set(fit_handoff(two, config()).thresholds) == {"intent"}
    assert set(fit_handoff(two, config(tasks=("mood",))).thresholds) == {"mood"}


@pytest.mark.parametrize("cases", [0, 1, 10])
def test_too_few_cases_keep_nothing(cases):
    fitted = fit_threshold(CalibrateAnswers(np.ones(cases), np.ones(cases, bool)), config(min_cases=1))
    assert (fitted.threshold, fitted.kept, fitted.error_bound) == (None, 0, None)


def test_a_model_that_is_never_wrong_keeps_all_and_one_always_wrong_keeps_nothing():
    confidences = np.linspace(0, 1, 200)
    assert fit_threshold(CalibrateAnswers(confidences, np.ones(200, bool)), config()).threshold == 0.0
    assert fit_threshold(CalibrateAnswers(confidences, np.zeros(200, bool)), config()).threshold is None


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0])
def test_the_promise_is_kept_as_often_as_said(sharpness):
    """The true share of wrong answers among those kept is above the promise in at most a tenth of 500 fits."""
    rng = np.random.default_rng(11)
    grid = np.linspace(0.2, 1.0, 20_001)
    broken = 0
    for _ in range(500):
        fitted = fit_threshold(answers(rng, 300, sharpness=sharpness), config())
        if fitted.threshold is not None:
            broken += 1 - (grid[grid >= fitted.threshold] ** sharpness).mean() > 0.2
    assert broken <= 50 + 2 * np.sqrt(500 * 0.1 * 0.9)


def test_a_missing_task_is_told():
    with pytest.raises(TrainingError, match="answers for mood, found intent"):
        fit_handoff({"intent": answers(np.random.default_rng(0), 50)}, config(tasks=("intent", "mood")))
    with pytest.raises(TrainingError, match="found none"):
        fit_handoff({}, config())


def test_reasons_in_their_order():
    rng = np.random.default_rng(5)
    settings = config(tasks=("intent", "mood"), high_risk_labels=("fraud",))
    policy = fit_handoff({"intent": answers(rng, 900), "mood": answers(rng, 900)}, settings)
    threshold = policy.thresholds["intent"].threshold
    intents = ["refund", "refund", "fraud", NONE_OF_THESE, "refund", "refund", "fraud"]
    confidences = np.array([threshold, 1.0, 1.0, 1.0, threshold - 1e-9, 1.0, 0.0])
    mood = TaskAnswers(["calm"] * 7, np.array([1, 1, 1, 1, 0, 0, 1.0]))
    texts = ["a", " \n", "b", "c", "d", "e", "f"]

    decided = policy.decide(texts, {"intent": TaskAnswers(intents, confidences), "mood": mood})

    assert [decision.reason for decision in decided] == [
        "",
        "empty_text",
        "high_risk:intent",
        "none_of_these:intent",
        "low_confidence:intent",
        "low_confidence:mood",
        "high_risk:intent",
    ]
    assert [decision.handoff for decision in decided] == [False, True, True, True, True, True, True]


def test_where_no_threshold_holds_everything_is_handed_off_and_other_tasks_never_are():
    policy = fit_handoff({"intent": CalibrateAnswers(np.ones(5), np.ones(5, bool))}, config())
    [decision] = policy.decide(["a"], {"intent": TaskAnswers(["refund"], np.ones(1))})
    assert decision.reason == "low_confidence:intent"
    [other] = policy.decide(["a"], {"mood": TaskAnswers(["calm"], np.zeros(1))})
    assert not other.handoff


def test_a_policy_survives_json():
    policy = fit_handoff({"intent": answers(np.random.default_rng(2), 500)}, config(high_risk_labels=("fraud",)))
    assert HandoffPolicy.model_validate_json(policy.model_dump_json()) == policy
