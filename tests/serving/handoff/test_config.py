from pathlib import Path

import pytest
import yaml

from labeling.config import load_config, parse_config
from labeling.errors import ConfigError
from labeling.taxonomy import Label, Task, Taxonomy
from labeling.vocabulary import NONE_OF_THESE
from serving.handoff.config import Costs, HandoffConfig, LabelCosts
from tests.serving.policies import config

CONFIG = Path(__file__).parents[3] / "configs" / "handoff.yaml"


def test_the_packaged_config_loads_and_every_fault_of_a_wrong_one_is_told():
    assert load_config(CONFIG, HandoffConfig).promised_error_share == 0.2
    raw = yaml.safe_load(CONFIG.read_text())
    wrong = {"promised_error_share": 1.5, "confidence": 0, "min_cases": 0, "extra": 1, "costs": {"wrong_kept": -1}}
    with pytest.raises(ConfigError) as caught:
        parse_config(raw | wrong | {"band": {"width": 1, "flip": 0.7}}, HandoffConfig, name="handoff.yaml")
    places = {fault.split(": ")[1] for fault in caught.value.faults}
    assert places == {
        *("promised_error_share", "confidence", "min_cases", "extra"),
        *("costs.wrong_kept", "costs.handoff", "band.width", "band.flip"),
    }


def test_a_file_of_the_first_version_is_told_what_to_change():
    with pytest.raises(ConfigError, match=r"version 2 is needed, found 1: your lines stay .*docs/handoff.md"):
        parse_config({"schema_version": 1}, HandoffConfig, name="handoff.yaml")


def test_names_that_the_taxonomy_lacks_are_found():
    labels = (Label(name="refund", title="Refund"), Label(name="fraud", title="Fraud"))
    task = Task(name="intent", question="?", labels=labels, rejects=True)
    taxonomy = Taxonomy(schema_version=1, version=1, tasks=(task,))
    followed = {"task": "intent", "ratings": {"refund": 0.5}, "turns": 3, "false_alarm_rate": 0.1}
    elsewhere = followed | {"task": "mood"}
    fine = config(tasks=("intent",), high_risk_labels=("fraud", NONE_OF_THESE), sentiment=elsewhere)
    assert fine.find_faults(taxonomy) == []
    costs = {"wrong_kept": 2, "handoff": 1, "by_label": {"arson": {"wrong_kept": 9}}}
    wrong = config(tasks=("mood",), high_risk_labels=("theft",), costs=costs, sentiment=followed)
    assert wrong.find_faults(taxonomy) == [
        "tasks: 'mood' is not a task of taxonomy.yaml",
        "high_risk_labels: 'theft' is not a label of taxonomy.yaml",
        "costs.by_label: 'arson' is not a label of taxonomy.yaml",
        "sentiment.ratings: 'fraud' of the task 'intent' needs a rating",
    ]


def test_a_label_costs_what_it_says_and_else_the_usual():
    costs = Costs(wrong_kept=2, handoff=1, by_label={"fraud": LabelCosts(wrong_kept=50)})
    assert (costs.of("fraud"), costs.of("refund")) == ((50, 1), (2, 1))
