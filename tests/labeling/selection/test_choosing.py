import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.digests import keyed_digest
from labeling.selection.naming import case_id, name_again, name_first, name_gold
from labeling.selection.pool import Pool
from labeling.sources.lots import LotPolicy, assign_lots
from labeling.tables import REVIEW_QUEUE
from tests.labeling.selection.pools import POLICY, REASONS, directions, make_pool, policy, reasons, select, shares


def changed(pool: Pool, **columns) -> Pool:
    return replace(pool, waiting=pool.waiting.with_columns(**columns))


def shuffled(pool: Pool, *, seed: int = 5) -> Pool:
    rng = np.random.default_rng(seed)
    order, known = rng.permutation(pool.waiting.height), rng.permutation(pool.labelled.height)
    return replace(
        pool,
        waiting=pool.waiting[order],
        features=pool.features[order],
        labelled=pool.labelled[known],
        known=pool.known[known],
    )


def opened(pool: Pool) -> pl.DataFrame:
    return pool.waiting.filter(pl.col("lot") == "open")


def test_all_audit_cases_go_blind_and_the_budget_goes_to_the_open_lot():
    pool = make_pool()
    queue = select(pool).queue
    assert queue.schema == pl.Schema(REVIEW_QUEUE.schema)
    audit = queue.filter(pl.col("reason") == "audit")
    assert set(audit["interaction_id"]) == set(pool.waiting.filter(pl.col("lot") == "audit")["interaction_id"])
    assert audit["blind"].all()
    assert queue.height == audit.height + 40
    assert queue["case_id"].n_unique() == queue.height
    assert set(queue["champion"]) == {"3"}


def test_each_case_names_what_it_was_picked_from_and_how_many_those_were():
    pool = make_pool()
    chosen = select(pool, policy(gold_share=0.1))
    frames = chosen.queue.select("frame", "frame_size").unique()
    assert dict(frames.iter_rows()) == chosen.frames
    assert chosen.frames == {"audit": 200 - opened(pool).height, "open": opened(pool).height, "labelled": 40}
    of_labelled = chosen.queue.filter(pl.col("frame") == "labelled")
    assert set(of_labelled["reason"]) == {"gold", "label_error"}
    assert set(of_labelled["interaction_id"]) <= set(pool.labelled["interaction_id"])


def test_audit_cases_are_exempt_from_de_duplication_caps_and_the_budget():
    pool = make_pool(30, audit=1.0)
    same = replace(pool, features=np.tile(pool.features[:1], (30, 1)), known=pool.features[:1])
    same = replace(same, labelled=pool.labelled[:1])
    assert select(changed(same, copy_key=pl.lit(1, pl.UInt64), predicted=pl.lit("x")), budget=0).queue.height == 30


@pytest.mark.parametrize("strategy", ["cover", "uniform"])
def test_the_result_depends_on_the_rows_and_the_chance_not_on_the_order(strategy):
    pool, chosen = make_pool(600), policy(strategy=strategy, gold_share=0.1)
    first = select(pool, chosen)
    assert select(shuffled(pool), chosen).queue.equals(first.queue)
    assert select(pool, chosen).queue.equals(first.queue)
    assert not select(pool, chosen, seed=1).queue.equals(first.queue)


def test_the_budget_is_split_by_the_shares_and_the_best_of_each_reason_go():
    pool = make_pool(400, audit=0)
    chosen = policy(shares=dict.fromkeys(REASONS, 1 / 6), duplicate_similarity=1.0)
    queue = select(pool, chosen, budget=60).queue
    assert reasons(select(pool, chosen, budget=60)) == dict.fromkeys(REASONS, 10)
    strongest = pool.waiting.sort("disagreement", descending=True, nulls_last=True)["interaction_id"][:10]
    disputed = queue.filter(pl.col("reason") == "disagreement")
    assert len(set(disputed["interaction_id"]) & set(strongest)) >= 8  # label errors and requests went before
    assert disputed["score"].to_list() == sorted(disputed["score"], reverse=True)


@pytest.mark.parametrize("reason", REASONS)
def test_each_share_changes_what_is_picked(reason):
    chosen = policy(shares=shares(**{reason: 1.0}), duplicate_similarity=1.0)
    picked = reasons(select(make_pool(400, audit=0), chosen, budget=15))
    assert picked == {reason: 15}


def test_what_a_reason_cannot_use_goes_to_uncertainty():
    pool = changed(make_pool(100, audit=0), disagreement=pl.lit(None, pl.Float64), handoff=pl.lit(None, pl.Float64))
    calm = replace(pool, needed=())
    asked = policy(shares=shares(disagreement=0.5, handoff=0.3, gate_request=0.2), duplicate_similarity=1.0)
    assert reasons(select(calm, asked)) == {"uncertainty": 40}


def test_gate_requests_are_served_the_oldest_first_and_no_further_than_they_lack():
    pool = changed(make_pool(300, audit=0), request=pl.int_range(pl.len(), dtype=pl.Int32) % 3)
    asked = policy(shares=shares(gate_request=1.0), duplicate_similarity=1.0)
    picked = select(replace(pool, needed=(5, 2)), asked, budget=20)
    assert reasons(picked) == {"gate_request": 7, "uncertainty": 13}
    served = picked.queue.filter(pl.col("reason") == "gate_request").join(pool.waiting, on="interaction_id")
    assert dict(served["request"].value_counts().iter_rows()) == {0: 5, 1: 2}
    assert reasons(select(replace(pool, needed=(5, 2)), asked, budget=4)) == {"gate_request": 4}


def test_uncertain_cases_are_less_sure_than_the_pool_and_breadth_says_how_far_they_spread():
    pool = make_pool(1000, audit=0)
    narrow, broad = (
        select(pool, policy(shares=shares(uncertainty=1), breadth=breadth, duplicate_similarity=1.0))
        .queue.join(pool.waiting, on="interaction_id")["margin"]
        .sort()
        for breadth in (1, 10)
    )
    assert narrow.to_list() == pool.waiting["margin"].sort()[:40].to_list()
    assert narrow.max() < broad.max() < 0.41


def test_uniform_draws_everything_alike():
    pool, counts = make_pool(50, audit=0), np.zeros(50)
    for seed in range(100):
        picked = select(pool, policy(strategy="uniform"), budget=10, seed=seed)
        assert reasons(picked) == {"uniform": 10}
        counts[[int(name[1:]) for name in picked.queue["interaction_id"]]] += 1
    assert counts.min() > 4
    assert counts.max() < 42


def test_near_duplicates_are_picked_once_and_not_where_one_is_labelled_or_asked_for():
    pool = make_pool(60, audit=0, labelled=1)
    twice = replace(
        pool,
        waiting=pl.concat([pool.waiting, pool.waiting.with_columns(pl.col("interaction_id") + "-b")]),
        features=np.tile(pool.features, (2, 1)),
    )
    found = select(twice, policy(shares=shares(uncertainty=1.0), duplicate_similarity=0.9999), budget=120)
    assert found.queue.height == 60
    known = replace(pool, labelled=make_pool(labelled=60).labelled, known=pool.features)
    for seen in (known, replace(pool, asked=pool.features)):
        none = select(seen, policy(shares=shares(uncertainty=1.0)))
        assert none.queue.is_empty()
        assert none.duplicates >= 60


def test_no_predicted_label_takes_more_than_its_cap_but_an_even_share_is_always_allowed():
    pool = make_pool(400, audit=0, labelled=0)
    lopsided = changed(pool, predicted=pl.when(pl.int_range(pl.len()) < 300).then(pl.lit("a")).otherwise("predicted"))
    plain = policy(cap_per_intent=1.0, duplicate_similarity=1.0)
    assert most_predicted(lopsided, plain) > 20
    capped = plain.model_copy(update={"cap_per_intent": 0.3})
    assert most_predicted(lopsided, capped) == 12
    assert select(lopsided, capped).capped > 0
    assert most_predicted(lopsided, plain.model_copy(update={"cap_per_intent": 0.01})) == 10
    unsaid = changed(pool, predicted=pl.lit(None, pl.String))
    assert select(unsaid, capped).queue.height == 40


def most_predicted(pool: Pool, chosen) -> int:
    picked = select(pool, chosen).queue.join(pool.waiting, on="interaction_id")
    return int(picked["predicted"].value_counts()["count"].max())  # type: ignore[arg-type]


def test_texts_like_those_outside_every_label_are_worth_less():
    rng = np.random.default_rng(3)
    pool = make_pool(400, audit=0, labelled=80)
    outside = directions(1, rng)[0]
    near = pool.features[:200] * 0.2 + outside
    features = np.concatenate([near / np.linalg.norm(near, axis=1, keepdims=True), pool.features[200:]])
    alike = changed(replace(pool, features=features), margin=pl.lit(0.0))
    rejected = np.arange(80) < 20
    known = np.where(rejected[:, None], directions(80, rng) * 0.2 + outside, pool.known)
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    labels = pool.labelled.with_columns(target=pl.Series(np.where(rejected, -1, 0), dtype=pl.Int32))
    chosen = policy(shares=shares(uncertainty=1), duplicate_similarity=1.0, breadth=1)
    ignored = replace(alike, known=known.astype(np.float32))
    told = replace(ignored, labelled=labels)
    assert count_outside(told, chosen) < 0.2 * count_outside(ignored, chosen)


def count_outside(pool: Pool, chosen) -> int:
    outside = set(pool.waiting["interaction_id"][:200])
    return len(outside & set(select(pool, chosen).queue["interaction_id"]))


def test_likely_label_errors_are_asked_again_the_likeliest_first():
    pool = make_pool(100, labelled=60, audit=0)
    asked = policy(shares=shares(label_error=1.0), duplicate_similarity=1.0)
    queue = select(pool, asked, budget=10).queue
    likeliest = pool.labelled.sort("suspicion", descending=True)[:10]
    assert queue["interaction_id"].to_list() == likeliest["interaction_id"].to_list()
    assert queue["case_id"].to_list() == [name_again(name) for name in likeliest["interaction_id"]]
    trusted = replace(pool, labelled=pool.labelled.with_columns(suspicion=pl.lit(0.4)))
    assert set(reasons(select(trusted, asked, budget=10))) == {"uncertainty"}


def test_gold_cases_are_hidden_among_the_others_and_those_asked_least_often_go_first():
    pool = make_pool(400, labelled=60, audit=0)
    rare = pl.when(pl.int_range(pl.len()) < 8).then(0).otherwise(2).cast(pl.Int32)
    pool = replace(pool, labelled=pool.labelled.with_columns(gold_asked=rare, suspicion=pl.lit(None, pl.Float64)))
    queue = select(pool, policy(gold_share=0.2, blind_share=0.5, duplicate_similarity=1.0), budget=40).queue
    gold = queue.filter("gold")
    assert gold.height == 8
    assert set(gold["interaction_id"]) == set(pool.labelled["interaction_id"][:8])
    assert gold["case_id"].to_list() == [name_gold(name, "week-1") for name in gold["interaction_id"]]
    assert 0 < gold["blind"].sum() < 8
    assert not select(pool, policy(gold_share=0)).queue["gold"].any()


def test_overlap_and_blind_shares_are_met():
    pool = make_pool(400, audit=0)
    none, every = policy(overlap_share=0, blind_share=0), policy(overlap_share=1, blind_share=1)
    assert select(pool, none).queue.select(pl.col("overlap").max(), pl.col("blind").any()).row(0) == (1, False)
    assert select(pool, every).queue.select(pl.col("overlap").min(), pl.col("blind").all()).row(0) == (2, True)


def test_before_any_champion_or_label_the_pool_is_covered():
    silent = changed(make_pool(200, audit=0, labelled=0), margin=pl.lit(None, pl.Float64))
    picked = select(silent, policy(shares=shares(uncertainty=1), duplicate_similarity=1.0))
    assert picked.queue.height == 40
    assert set(picked.queue["score"]) == {1.0}


def test_the_name_of_a_case_follows_from_what_it_asks_and_differs_after_a_withdrawal():
    assert name_first("i1", 0) == case_id("i1")
    names = [name_first("i1", 0), name_first("i1", 1), name_first("i1", 2), name_again("i1"), name_gold("i1", "r")]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"case-[0-9a-f]{20}", name) for name in names)
    pool = changed(make_pool(20), withdrawn=pl.lit(1, pl.Int32))
    first_asked = select(pool, policy(shares=shares(uncertainty=1))).queue
    assert first_asked["case_id"].to_list() == [name_first(name, 1) for name in first_asked["interaction_id"]]


@settings(max_examples=10, deadline=None)
@given(
    size=st.integers(0, 40),
    budget=st.integers(0, 30),
    copies=st.integers(1, 12),
    strategy=st.sampled_from(["cover", "uniform"]),
    cap=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_any_small_pool_is_served_whole_in_the_audit_lot_and_within_budget_and_caps_in_the_open_one(
    size, budget, copies, strategy, cap
):
    pool = make_pool(size, labelled=size % 7, seed=size)
    copied = np.arange(size) % copies
    pool = changed(pool, copy_key=pl.Series(copied, dtype=pl.UInt64))
    pool = replace(pool, features=directions(copies, np.random.default_rng(size))[copied].reshape(size, 8))
    chosen = policy(strategy=strategy, cap_per_intent=cap, duplicate_similarity=0.99, gold_share=0.2)
    picked = select(pool, chosen, budget=budget)
    assert picked.queue.filter(pl.col("reason") == "audit").height == size - opened(pool).height
    assert sum(reasons(picked).values()) <= budget
    assert picked.queue["case_id"].n_unique() == picked.queue.height
    if strategy == "uniform":
        assert sum(reasons(picked).values()) == min(budget, opened(pool).height)
        return
    waiting = picked.queue.filter(pl.col("frame") == "open").join(pool.waiting, on="interaction_id")
    assert not waiting["copy_key"].is_duplicated().any()
    assert waiting.is_empty() or waiting["predicted"].value_counts()["count"].max() <= np.ceil(max(cap, 0.25) * budget)
    assert select(shuffled(pool, seed=budget), chosen, budget=budget).queue.equals(picked.queue)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), budget=st.integers(0, 60), cap=st.floats(0.01, 1), similarity=st.floats(0.5, 1))
def test_lots_never_depend_on_scores_caps_people_or_de_duplication(seed, budget, cap, similarity):
    """The lot follows from the conversation and the key; no selection moves a row, and every audit row goes out."""
    key, names = keyed_digest(b"", str(seed)).encode(), pl.Series([f"c{number}" for number in range(60)])
    lots = assign_lots(names, policy=LotPolicy.model_validate(POLICY.lots.model_dump()), key=key)["lot"]
    pool = changed(make_pool(60, seed=seed), lot=lots)
    chosen = policy(cap_per_intent=cap, duplicate_similarity=similarity, cap_per_person=1 + seed % 3)
    queue = select(pool, chosen, budget=budget).queue
    audit = pool.waiting.filter(lots == "audit")["interaction_id"]
    assert queue.filter(pl.col("reason") == "audit")["interaction_id"].to_list() == audit.sort().to_list()
    worse = changed(pool, margin=1 - pl.col("margin"), predicted=pl.lit("x"), copy_key=pl.lit(0, pl.UInt64))
    again = select(worse, chosen, budget=0).queue
    assert again["interaction_id"].to_list() == audit.sort().to_list()
