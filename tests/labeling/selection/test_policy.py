import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.config import load_config, parse_config
from labeling.errors import ConfigError
from labeling.selection.policy import SelectionPolicy, case_id, remaining_budget, select_for_review
from labeling.tables import REVIEW_QUEUE

POLICY = load_config(Path(__file__).parents[3] / "configs" / "selection.yaml", SelectionPolicy)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def policy(**change) -> SelectionPolicy:
    return parse_config(POLICY.model_dump() | change, SelectionPolicy, name="selection.yaml")


def shares(**given: float) -> dict[str, float]:
    return dict.fromkeys(("uncertainty", "disagreement", "handoff", "novelty"), 0.0) | given


def make_pool(size: int = 200, *, seed: int = 0, audit: float = 0.2) -> tuple[pl.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(size, 8))
    pool = pl.DataFrame(
        schema_overrides={"interaction_id": pl.String, "lot": pl.String, "text_digest": pl.String},
        data={
            "interaction_id": [f"i{number:04d}" for number in rng.permutation(size)],
            "lot": np.where(rng.random(size) < audit, "audit", "open"),
            "text_digest": [f"t{number}" for number in range(size)],
            "margin": rng.random(size),
            "label": "x",
            "confidence": rng.random(size),
            "corrected": rng.random(size) < 0.2,
            "escalated": rng.random(size) < 0.2,
            "nearest_labelled": rng.uniform(0.1, 1, size),
        },
    )
    return pool, (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def select(
    pool: pl.DataFrame, features: np.ndarray, chosen: SelectionPolicy = POLICY, *, budget: int = 40, seed: int = 0
):
    rng = np.random.default_rng(seed)
    return select_for_review(pool, features, policy=chosen, budget=budget, round="week-1", now=NOW, rng=rng)


def test_all_audit_cases_go_blind_and_the_budget_goes_to_the_open_lot():
    pool, features = make_pool()
    queue = select(pool, features)
    assert queue.schema == pl.Schema(REVIEW_QUEUE.schema)
    audit = queue.filter(pl.col("reason") == "audit")
    assert set(audit["interaction_id"]) == set(pool.filter(pl.col("lot") == "audit")["interaction_id"])
    assert audit["blind"].all()
    assert set(audit["pool_size"]) == {audit.height}
    opened = queue.filter(pl.col("reason") != "audit")
    assert opened.height == 40
    assert set(opened["pool_size"]) == {200 - audit.height}
    assert queue["interaction_id"].n_unique() == queue.height


def test_audit_cases_are_exempt_from_de_duplication_and_from_the_budget():
    pool, features = make_pool(30, audit=1.0)
    same = np.tile(features[:1], (30, 1))
    assert select(pool.with_columns(text_digest=pl.lit("t")), same, budget=0).height == 30


@pytest.mark.parametrize("strategy", ["cover", "uniform"])
def test_the_result_depends_on_the_rows_and_the_chance_not_on_the_order(strategy):
    pool, features = make_pool()
    order = np.random.default_rng(5).permutation(pool.height)
    first = select(pool, features, policy(strategy=strategy))
    assert select(pool[order], features[order], policy(strategy=strategy)).equals(first)
    assert not select(pool, features, policy(strategy=strategy), seed=1).equals(first)


def test_the_budget_is_split_by_the_shares_and_the_best_of_each_reason_go():
    pool, features = make_pool(400, audit=0)
    chosen = policy(shares=shares(uncertainty=0.25, disagreement=0.25, handoff=0.25, novelty=0.25))
    queue = select(pool, features, chosen)
    assert dict(queue["reason"].value_counts().iter_rows()) == dict.fromkeys(
        ("uncertainty", "disagreement", "handoff", "novelty"), 10
    )
    surest = pool.filter("corrected").sort("confidence", descending=True)["interaction_id"][:10]
    assert set(queue.filter(pl.col("reason") == "disagreement")["interaction_id"]) == set(surest)
    scores = queue.filter(pl.col("reason") == "disagreement")["score"]
    assert scores.to_list() == sorted(scores, reverse=True)


@pytest.mark.parametrize("reason", ["uncertainty", "disagreement", "handoff", "novelty"])
def test_each_share_changes_what_is_picked(reason):
    pool, features = make_pool(400, audit=0)
    assert set(select(pool, features, policy(shares=shares(**{reason: 1.0})), budget=20)["reason"]) == {reason}


def test_what_a_reason_cannot_use_goes_to_uncertainty():
    pool, features = make_pool(100, audit=0)
    calm = pool.with_columns(corrected=pl.lit(value=False)).drop("nearest_labelled")
    queue = select(calm, features, policy(shares=shares(disagreement=0.5, novelty=0.5)))
    assert dict(queue["reason"].value_counts().iter_rows()) == {"uncertainty": 40}


def test_uncertain_cases_are_less_sure_than_the_pool_and_breadth_says_how_far_they_spread():
    pool, features = make_pool(1000, audit=0)
    chosen = shares(uncertainty=1.0)
    narrow, broad = (
        select(pool, features, policy(shares=chosen, breadth=breadth)).join(pool, on="interaction_id")["margin"]
        for breadth in (1, 10)
    )
    assert sorted(narrow) == pool["margin"].sort()[:40].to_list()
    assert narrow.max() < broad.max() < 0.41


def test_uniform_draws_everything_alike():
    pool, features = make_pool(50, audit=0)
    counts = np.zeros(50)
    for seed in range(200):
        queue = select(pool, features, policy(strategy="uniform"), budget=10, seed=seed)
        assert set(queue["reason"]) == {"uniform"}
        counts[[int(name[1:]) for name in queue["interaction_id"]]] += 1
    assert counts.min() > 15
    assert counts.max() < 70


def test_near_duplicates_are_picked_once_and_not_where_one_is_labelled():
    pool, features = make_pool(60, audit=0)
    twice, doubled = pl.concat([pool, pool.with_columns(pl.col("interaction_id") + "-b")]), np.tile(features, (2, 1))
    similar = policy(duplicate_similarity=0.999)
    assert select(twice, doubled, similar, budget=120).height == 60
    labelled = pool.with_columns(nearest_labelled=pl.lit(0.0004))
    assert select(labelled, features, similar).is_empty()
    assert select(labelled, features, policy(duplicate_similarity=1.0)).height == 40


def test_overlap_and_blind_shares_are_met():
    pool, features = make_pool(400, audit=0)
    none, every = policy(overlap_share=0, blind_share=0), policy(overlap_share=1, blind_share=1)
    assert select(pool, features, none).select(pl.col("overlap").max(), pl.col("blind").any()).row(0) == (1, False)
    assert select(pool, features, every).select(pl.col("overlap").min(), pl.col("blind").all()).row(0) == (2, True)


def test_before_any_champion_the_cover_is_of_the_whole_pool():
    pool, features = make_pool(200, audit=0)
    silent = pool.with_columns(pl.lit(None, pl.Float64).alias(name) for name in ("margin", "confidence"))
    queue = select(silent, features, policy(shares=shares(uncertainty=1.0)))
    assert queue.height == 40
    assert set(queue["score"]) == {1.0}


def test_the_name_of_a_case_follows_from_its_interaction():
    pool, features = make_pool(10)
    queue = select(pool, features)
    assert queue["case_id"].to_list() == [case_id(name) for name in queue["interaction_id"]]
    assert re.fullmatch(r"case-[0-9a-f]{20}", queue["case_id"][0])


@settings(max_examples=20, deadline=None)
@given(
    size=st.integers(0, 25),
    budget=st.integers(0, 30),
    copies=st.integers(1, 5),
    strategy=st.sampled_from(["cover", "uniform"]),
)
def test_any_small_pool_is_served_and_never_over_budget(size, budget, copies, strategy):
    pool, features = make_pool(size, seed=size)
    pool = pool.with_columns(text_digest=pl.Series([f"t{row % copies}" for row in range(size)], dtype=pl.String))
    queue = select(pool, features, policy(strategy=strategy), budget=budget)
    opened = queue.filter(pl.col("reason") != "audit")
    available = pool.filter(pl.col("lot") == "open")
    most = available["text_digest"].n_unique() if strategy == "cover" else available.height
    assert opened.height <= min(budget, most)
    assert strategy == "cover" or opened.height == min(budget, most)


def test_the_budget_of_a_day_is_what_the_last_24_hours_left():
    rows = [("uncertainty", 1), ("uncertainty", 23), ("uncertainty", 25), ("audit", 1)]
    queue = REVIEW_QUEUE.frame(
        [
            {"case_id": str(place), "reason": reason, "picked_at": NOW - timedelta(hours=hours)}
            for place, (reason, hours) in enumerate(rows)
        ]
    )
    assert remaining_budget(queue, policy=policy(budget=5), now=NOW) == 3
    assert remaining_budget(queue, policy=policy(budget=1), now=NOW) == 0


def test_a_faulty_policy_reports_every_fault():
    raw = POLICY.model_dump() | {"strategy": "best", "breadth": 0, "shares": shares(uncertainty=0.5), "budgte": 3}
    with pytest.raises(ConfigError) as caught:
        parse_config(raw, SelectionPolicy, name="selection.yaml")
    assert len(caught.value.faults) == 4
    assert "found 0.5" in str(caught.value)
