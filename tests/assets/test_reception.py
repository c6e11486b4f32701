"""What agents say of context packages, on the page of the asset."""

import dagster as dg

from assets.reception import context_reception, tell_reception
from labeling import tables as t
from serving.context.feedback import report_feedback


def make(stocked):
    upstream = [dg.AssetSpec(name) for name in ("context_feedback", "labels", "predictions")]
    done = dg.materialize(
        [*upstream, context_reception],
        resources={"loop": stocked.loop},
        instance=stocked.instance,
        selection=dg.AssetSelection.groups("monitoring"),
    )
    [made] = done.get_asset_materialization_events()
    return {name: found.value for name, found in made.materialization.metadata.items()}


def test_packages_are_counted_by_intent_with_the_parts_that_were_missing(stocked):
    assert make(stocked) == {"packages": 0}
    stocked.interactions("a", "b", "c")
    stocked.labels({"a": "bill_higher", "b": "bill_higher"})
    said = [
        ("a", "helped", "facts"),
        ("a", "helped", "history"),
        ("b", "hindered", "facts"),
        ("c", "neither", "nothing"),
    ]
    rows = [
        {"feedback_id": f"of-{name}", "interaction_id": name, "helped": helped, "missing": part}
        for name, helped, part in said
    ]
    stocked.put(t.CONTEXT_FEEDBACK, *rows)
    found = make(stocked)
    assert (found["packages"], found["helped_share"], found["hindered_share"]) == (3, 1 / 3, 1 / 3)
    assert found["by_intent"].splitlines() == [
        "| intent | packages | helped | hindered | facts missing | history missing |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| bill\\_higher | 2 | 1 | 1 | 2 | 1 |",
        "| unknown | 1 | 0 | 0 | 0 | 0 |",
    ]
    assert found["plot"].startswith("![by intent](data:image/png;base64,")


def test_an_intent_from_outside_cannot_break_the_table(stocked):
    stocked.put(t.ESCALATIONS, {"escalation_id": "e", "interaction_id": "a", "resolved_intent": "a|b\n<script>"})
    stocked.put(
        t.CONTEXT_FEEDBACK, {"feedback_id": "f", "interaction_id": "a", "helped": "helped", "missing": "nothing"}
    )
    told = tell_reception(report_feedback(stocked.tables, taxonomy=stocked.loop.settings.taxonomy))
    assert told.splitlines()[-1].startswith("| a\\|b \\<script\\> | 1 |")
