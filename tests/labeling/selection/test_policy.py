import pytest

from labeling.config import parse_config
from labeling.errors import ConfigError
from labeling.selection.policy import SelectionPolicy
from tests.labeling.selection.pools import POLICY, shares


def test_a_faulty_policy_reports_every_fault():
    faulty = {"strategy": "best", "breadth": 0, "shares": shares(uncertainty=0.5), "budgte": 3, "cap_per_intent": 0}
    with pytest.raises(ConfigError) as caught:
        parse_config(POLICY.model_dump() | faulty, SelectionPolicy, name="selection.yaml")
    assert len(caught.value.faults) == 5
    assert "found 0.5" in str(caught.value)


def test_a_file_of_the_first_version_is_told_what_to_add():
    raw = POLICY.model_dump() | {"schema_version": 1}
    del raw["cap_per_person"]
    with pytest.raises(ConfigError, match="version 2 is needed, found 1: add cap_per_person") as caught:
        parse_config(raw, SelectionPolicy, name="selection.yaml")
    assert len(caught.value.faults) == 2
