from datetime import timedelta

import dagster as dg
import pytest

from assets.checks import build_checks
from labeling import tables as t
from tests.assets.conftest import NOW
from training.registry.registry import PARITY_TAG, RELEASE, VERDICT_TAG


@pytest.fixture
def check(stocked):
    """Return a function that evaluates one check, after its asset said ``metadata`` of itself."""

    def evaluate(asset, name, **metadata):
        made = dg.AssetMaterialization(asset, metadata=metadata)
        stocked.instance.report_runless_asset_event(made)
        [found] = [
            each
            for each in build_checks(stocked.loop.settings.taxonomy)
            if dg.AssetCheckKey(dg.AssetKey(asset), name) in each.check_keys
        ]
        job = dg.define_asset_job("job", dg.AssetSelection.checks(found))
        definitions = dg.Definitions(asset_checks=[found], jobs=[job], resources={"loop": stocked.loop})
        done = definitions.resolve_job_def("job").execute_in_process(instance=stocked.instance, raise_on_error=False)
        [said] = [each for each in done.get_asset_check_evaluations() if each.check_name == name]
        return said

    return evaluate


def deliver(stocked, name, *, rows, quarantined, at=NOW):
    place = {"source": "crm", "table": "corrections", "origin": name, "version": ""}
    row = place | {"rows": rows, "stored": rows - quarantined}
    stocked.put(t.DELIVERIES, row | {"quarantined": quarantined, "collected_at": at})


@pytest.mark.parametrize(
    ("quarantined", "kept_out", "passes"), [(0, 0, True), (2, 0, True), (3, 0, False), (3, 1, True)]
)
def test_too_many_refused_rows_stop_what_comes_after(stocked, check, quarantined, kept_out, passes):
    rows = int(2 / stocked.loop.settings.services.collect.max_quarantined_share)
    said = check("corrections", "quarantined_share", rows=rows, quarantined=quarantined, kept_out=kept_out)
    assert said.passed is passes
    assert said.blocking


def test_what_was_refused_before_does_not_stop_a_collection_that_brings_nothing(stocked, check):
    deliver(stocked, "old", rows=10, quarantined=10)
    assert check("corrections", "quarantined_share", rows=0, quarantined=0).passed


def test_a_source_that_could_not_be_read_is_told_and_stops_nothing(check):
    assert check("corrections", "sources_read", rows=3).passed
    said = check("corrections", "sources_read", rows=3, unread="source crm: the server is down")
    assert not said.passed
    assert not said.blocking
    assert said.description == "source crm: the server is down"


@pytest.mark.parametrize(("rows", "passes"), [(0, True), (10, True), (100, True), (101, False)])
def test_far_more_rows_than_ever_stop_what_comes_after(stocked, check, rows, passes):
    for day in range(1, 9):
        deliver(stocked, f"day-{day}", rows=10, quarantined=0, at=NOW - timedelta(days=day))
    deliver(stocked, "today", rows=rows, quarantined=0)
    said = check("corrections", "arrivals_as_usual")
    assert said.passed is passes
    assert said.blocking


def test_an_id_that_stands_twice_stops_what_comes_after(stocked, check):
    stocked.put(t.CORRECTIONS, {"correction_id": "k", "corrected_at": NOW})
    assert check("corrections", "ids_unique").passed


def test_one_feedback_may_tell_of_several_missing_parts_and_blocks_nothing(stocked, check):
    parts = [{"feedback_id": "f", "missing": part} for part in ("facts", "history")]
    stocked.put(t.CONTEXT_FEEDBACK, *parts, interaction_id="a", helped="helped")
    assert check("context_feedback", "ids_unique").passed
    assert not check("context_feedback", "quarantined_share").blocking


def test_nothing_delivered_is_no_fault(check):
    assert check("corrections", "quarantined_share").passed


@pytest.mark.parametrize(("trained", "passes"), [("a", True), ("b", False), ("c", False)])
def test_an_audit_interaction_in_the_newest_training_set_stops_the_training(stocked, check, trained, passes):
    stocked.interactions("a")
    stocked.interactions("b", lot="audit", part="test")
    stocked.interactions("c", conversation_id="of-b")
    stocked.put(t.TRAINING_SETS, {"training_set_id": "s", "interaction_id": trained}, task="intent")
    said = check("intent_training_set", "audit_stays_out", training_set_id="s")
    assert said.passed is passes
    assert said.blocking


class TestOfVersions:
    @pytest.fixture
    def add(self, stocked):
        client = stocked.loop.open_registry()._client

        def add_version(name, tags):
            client.create_registered_model(name)
            return client.create_model_version(name, "/nowhere", tags=tags).version

        return add_version

    @pytest.mark.parametrize(
        ("tags", "passes"), [({PARITY_TAG: "passed"}, True), ({PARITY_TAG: "failed"}, False), ({}, False)]
    )
    def test_a_version_that_does_not_answer_as_before_stops_the_release(self, add, check, tags, passes):
        said = check("intent_candidate", "parity", version=add("cxloop-intent", tags))
        assert said.passed is passes
        assert said.blocking

    @pytest.mark.parametrize(
        ("tags", "passes"), [({VERDICT_TAG: "promote"}, True), ({VERDICT_TAG: "hold"}, False), ({}, False)]
    )
    def test_gates_that_do_not_say_promote_warn(self, add, check, tags, passes):
        said = check("release_challenger", "gates_passed", version=add(RELEASE, tags))
        assert said.passed is passes
        assert said.severity == dg.AssetCheckSeverity.WARN or passes
        assert not said.blocking


@pytest.mark.parametrize(("asset", "name"), [("intent_candidate", "parity"), ("release_challenger", "gates_passed")])
def test_what_waits_for_its_first_version_is_no_fault(check, asset, name):
    assert check(asset, name, version="").passed


def test_every_task_has_its_checks(stocked):
    keys = {key.to_user_string() for each in build_checks(stocked.loop.settings.taxonomy) for key in each.check_keys}
    assert {"sentiment_candidate:parity", "sentiment_training_set:audit_stays_out"} <= keys
