"""The queue as the asset makes it: what it picks, what it says of it, and what a new champion changes."""

import dagster as dg
import polars as pl
import pytest
import yaml

from assets.resources import Loop
from assets.selecting import review_queue
from labeling import tables as t
from labeling.selection.naming import name_first
from labeling.selection.stale import stale_cases


@pytest.fixture
def make_queue(stocked):
    """Return a function that materializes the queue as if at a time, with settings changed; it returns the metadata."""

    def make(at: str, **changes):
        file = stocked.home.configs / "selection.yaml"
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | changes))
        upstream = [dg.AssetSpec(name) for name in ("features", "predictions", "corrections", "escalations", "labels")]
        loop = Loop(home=stocked.loop.home, now_is=at, desk="fake")
        done = dg.materialize([*upstream, review_queue], resources={"loop": loop}, selection=[review_queue])
        [made] = done.get_asset_materialization_events()
        return {name: found.value for name, found in made.materialization.metadata.items()}

    return make


def stock_messages(stocked) -> None:
    """Put one message of each intent into the open lot, and one of each mood into the audit lot."""
    for task, lot in (("intent", {"lot": "open"}), ("sentiment", {"lot": "audit", "part": "test"})):
        for label in stocked.loop.settings.taxonomy.task(task).labels:
            stocked.interactions(label.name, text=label.examples[0], **lot)


def queued(stocked) -> pl.DataFrame:
    return stocked.tables.read(t.REVIEW_QUEUE)


def test_the_queue_tells_what_was_picked_from_how_many_and_what_bounded_it(stocked, make_queue):
    stock_messages(stocked)
    made = make_queue("2026-03-09T09:00:00+00:00", budget=12, cap_per_person=10)
    assert {name: made[name] for name in ("pool", "picked", "audit", "typical", "budget", "people")} == {
        "pool": 28,
        "picked": 13,
        "audit": 3,
        "typical": 10,
        "budget": 10,
        "people": 1,
    }
    assert (made["frame_audit"], made["frame_open"], made["frame_labelled"]) == (3, 25, 0)
    assert made["capped_by_people"]
    assert (made["capped_by_intent"], made["stale"], made["given_out_again"]) == (0, 0, 0)
    assert make_queue("2026-03-09T10:00:00+00:00")["picked"] == 0
    assert queued(stocked).height == 13


def test_what_says_the_same_as_a_waiting_case_is_not_asked_too(stocked, make_queue):
    stock_messages(stocked)
    first = make_queue("2026-03-09T09:00:00+00:00", budget=100)
    texts = stocked.tables.read(t.INTERACTIONS, where=pl.col("lot") == "open")["text"].to_list()
    for number, text in enumerate(texts):
        stocked.interactions(f"again-{number}", text=text, lot="open")
    second = make_queue("2026-03-10T09:00:00+00:00")
    assert (first["picked"], second["picked"]) == (28, 0)
    assert second["near_duplicates"] >= len(texts)


def test_a_new_champion_makes_unanswered_cases_stale_and_their_budget_is_given_out_again_once(stocked, make_queue):
    stock_messages(stocked)
    make_queue("2026-03-09T09:00:00+00:00", budget=5)
    first = queued(stocked).filter(pl.col("reason") == "typical").sort("case_id")
    answered, waiting = first[:2], first[2:]
    answers = answered.select("case_id", "interaction_id", review_id="case_id").to_dicts()
    stocked.put(t.REVIEWS, *answers, task="intent", label="x")
    stocked.loop.open_ledger().append(
        "decision",
        {"decision": "approve", "version": "2", "champion_before": "1", "champion_after": "2"},
        at=stocked.loop.now(),
    )
    made = make_queue("2026-03-11T09:00:00+00:00")
    assert (made["stale"], made["given_out_again"], made["budget"]) == (3, 3, 8)
    assert (made["stale"], make_queue("2026-03-11T10:00:00+00:00")["budget"]) == (3, 0)
    mine = queued(stocked).filter(pl.col("champion") == "2", pl.col("reason") != "audit")
    assert mine.height == 8
    assert set(mine["interaction_id"]).isdisjoint(first["interaction_id"])
    reviews, tasks = stocked.tables.read(t.REVIEWS), stocked.tables.read(t.REVIEW_TASKS)
    assert set(stale_cases(queued(stocked), tasks, reviews, champion="2")) == set(waiting["case_id"])


def test_what_was_withdrawn_can_be_picked_again_under_another_name(stocked, make_queue):
    stock_messages(stocked)
    make_queue("2026-03-09T09:00:00+00:00", budget=25)
    first = queued(stocked).filter(pl.col("reason") == "typical")
    stocked.put(t.REVIEW_TASKS, *first.select("case_id").to_dicts(), state="withdrawn")
    made = make_queue("2026-03-09T10:00:00+00:00")
    assert made["picked"] == first.height
    again = queued(stocked).join(first, on="case_id", how="anti").filter(pl.col("reason") != "audit")
    assert sorted(again["case_id"]) == sorted(name_first(name, 1) for name in first["interaction_id"])
