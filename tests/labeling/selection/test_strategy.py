"""A batch of texts to label: typical ones first, then a cover of the doubt; repeatable, and no text twice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.selection.cover import cover_doubt
from labeling.selection.diversity import pick_badge
from labeling.selection.neighbours import find_neighbours, fit_whitening, link_neighbours, name_copies, unit
from labeling.selection.strategy import count_typical, pick_batch
from labeling.selection.typical import pick_apart, pick_typical
from tests.training.blobs import make_blobs

NOTHING = np.zeros((0, 16), np.float32)


def pick(features, doubt, *, count, labelled=NOTHING, targets=(), classes=4, seed=0):
    return pick_batch(
        features,
        np.asarray(doubt, float),
        labelled=labelled,
        targets=np.array(targets, int),
        classes=classes,
        count=count,
        rng=np.random.default_rng(seed),
    )


@pytest.mark.parametrize(("labelled", "typical"), [(0, 10), (3, 10), (4, 3), (23, 3), (24, 0), (90, 0)])
def test_a_batch_is_typical_texts_then_some_of_them_then_none_and_out_of_scope_answers_count(labelled, typical) -> None:
    assert count_typical(np.full(labelled, -1), 12, 10) == typical


def test_while_labels_may_be_unseen_a_part_of_the_batch_looks_for_them_where_no_doubt_is() -> None:
    features, targets = make_blobs((50, 50, 50, 50), seed=2, spread=0.3)
    known = np.array([0, 50])
    free = np.setdiff1d(np.arange(len(features)), known)
    doubt = np.where(targets == 1, 0.9, 0.01)[free]
    picked = free[pick(features[free], doubt, count=7, labelled=features[known], targets=targets[known])]
    assert {2, 3} & set(targets[picked[:2]])
    assert set(targets[picked[2:]]) == {1}


def test_a_cold_start_meets_every_label_of_separate_clouds_rare_ones_too() -> None:
    features, targets = make_blobs((200, 100, 40, 12), seed=1, spread=0.3)
    picked = pick(features, np.ones(len(features)), count=4)
    assert set(targets[picked]) == {0, 1, 2, 3}


def test_a_cold_start_goes_where_nothing_is_labelled() -> None:
    features, targets = make_blobs((50, 50, 50, 50), seed=2, spread=0.3)
    known = np.flatnonzero(targets < 2)[:40]
    labelled = known[[np.flatnonzero(targets[known] == label)[0] for label in (0, 1)]]
    free = np.setdiff1d(np.arange(len(features)), labelled)
    known = {"labelled": features[labelled], "targets": (0, 1), "classes": 12}
    picked = free[pick(features[free], np.ones(len(free)), count=2, **known)]
    assert set(targets[picked]) == {2, 3}


def test_a_warm_batch_goes_to_the_doubt_and_is_spread_over_it() -> None:
    features, targets = make_blobs((60, 60, 60, 60), seed=3, spread=0.4)
    doubt = np.where(targets >= 2, 0.9, 0.01)
    picked = pick(features, doubt, count=6, labelled=features[:8], targets=targets[:8])
    assert set(targets[picked]) == {2, 3}
    assert (np.bincount(targets[picked]) >= 2).sum() == 2


def test_copies_are_asked_once_and_a_labelled_text_again_only_when_nothing_else_is_left() -> None:
    features, targets = make_blobs((30, 30), seed=4)
    copied = np.vstack([features, np.repeat(features[:1], 20, axis=0)])
    picked = pick(copied, np.ones(80), count=60, labelled=features[1:4], targets=targets[1:4], classes=2)
    names = name_copies(copied)
    assert len(set(names[picked[:57]])) == 57
    assert {1, 2, 3}.isdisjoint(picked[:57])
    assert len(set(picked)) == 60


@pytest.mark.parametrize("count", [0, 1, 7, 500])
def test_a_batch_is_as_large_as_asked_or_the_pool(count: int) -> None:
    features, targets = make_blobs((20, 20), seed=5)
    for labelled in (0, 4):
        picked = pick(
            features, np.ones(40), count=count, labelled=features[:labelled], targets=targets[:labelled], classes=2
        )
        assert len(picked) == len(set(picked.tolist())) == min(count, 40)


def test_an_empty_pool_and_a_single_text_are_no_faults() -> None:
    features, _ = make_blobs((3, 3), seed=6)
    assert len(pick(NOTHING, [], count=5)) == 0
    assert pick(features[:1], [0.5], count=5, labelled=features[1:4], targets=(0, 1, 0), classes=2).tolist() == [0]


def test_a_pool_of_copies_is_no_fault() -> None:
    same = np.repeat(make_blobs((1,), seed=7)[0], 30, axis=0)
    for targets in ((), (0, 1)):
        assert (
            len(set(pick(same, np.ones(30), count=3, targets=targets, labelled=same[: len(targets)], classes=2))) == 3
        )


@given(seed=st.integers(0, 2**16), is_warm=st.booleans())
@settings(max_examples=15, deadline=None)
def test_the_choice_depends_on_the_rows_not_on_their_order(seed: int, is_warm: bool) -> None:
    features, targets = make_blobs((25, 25, 10), seed=seed % 50)
    rng = np.random.default_rng(seed)
    doubt, order = rng.random(60), rng.permutation(60)
    known = {"labelled": features[:5], "targets": targets[:5], "classes": 2} if is_warm else {"classes": 9}
    one = pick(features, doubt, count=6, seed=seed, **known)
    other = order[pick(features[order], doubt[order], count=6, seed=seed, **known)]
    assert one.tolist() == other.tolist()


def test_a_cover_counts_the_doubt_that_it_answers_for_once() -> None:
    line = unit(np.array([[1.0, 0.0], [1.0, 0.02], [1.0, 0.04], [0.0, 1.0], [-1.0, 0.3]]))
    graph = link_neighbours(line, 2)
    first = cover_doubt(graph, np.ones(5), 2)
    assert first[0] in {0, 1, 2}
    assert first[1] not in {0, 1, 2}
    assert sorted(cover_doubt(graph, np.ones(5), 9)) == [0, 1, 2, 3, 4]


def test_a_cover_gains_as_much_as_choosing_afresh_each_time() -> None:
    features, _ = make_blobs((30, 30), seed=8)
    graph = link_neighbours(features).toarray() + np.eye(60)
    doubt = np.random.default_rng(0).random(60)
    left, slow = doubt.copy(), []
    for _ in range(12):
        worth = graph @ left
        worth[slow] = -np.inf
        slow.append(int(np.argmax(worth)))
        left *= 1 - graph[slow[-1]]
    assert cover_doubt(link_neighbours(features), doubt, 12).tolist() == slow


def test_neighbours_leave_out_the_row_itself_and_come_nearest_first() -> None:
    features, _ = make_blobs((20,), seed=9)
    rows, distances = find_neighbours(features, features, 5)
    assert (rows != np.arange(20)[:, None]).all()
    assert (np.diff(distances, axis=1) >= 0).all()
    expected = ((features[:, None] - features[None]) ** 2).sum(-1)
    np.testing.assert_allclose(distances[:, 0], np.where(np.eye(20), np.inf, expected).min(1), atol=1e-5)
    assert find_neighbours(features, features, 99)[0].shape == (20, 19)


def test_whitening_evens_out_a_strong_direction() -> None:
    rng = np.random.default_rng(0)
    features = unit(rng.normal(size=(300, 4)) * [5, 1, 1, 1] + [3, 0, 0, 0])
    whitened = fit_whitening(features).apply(features)
    before, after = (np.linalg.svd(part - part.mean(0), compute_uv=False) for part in (features, whitened))
    assert after[0] / after[-1] < before[0] / before[-1]
    np.testing.assert_allclose(np.linalg.norm(whitened, axis=1), 1, atol=1e-5)


def test_texts_apart_lie_in_the_middle_of_clouds_that_hold_no_label() -> None:
    features, targets = make_blobs((40, 40, 40), seed=5, spread=0.3)
    picked = pick_apart(features, features[targets == 0][:3], 2)
    assert set(targets[picked]) == {1, 2}
    middles = [features[targets == label].mean(axis=0) for label in (1, 2)]
    away = np.linalg.norm(features - np.stack([*middles[:1], *middles])[targets], axis=1)
    for row in picked:
        assert away[row] < np.median(away[targets == targets[row]])
    assert len(pick_apart(features, features[:1], 500)) == len(features)
    assert len(pick_apart(features[:1], features[1:2], 3)) == 1


def test_typical_texts_lie_in_the_middle_of_their_cloud() -> None:
    features, targets = make_blobs((80, 80), seed=10, spread=0.8)
    picked = pick_typical(features, NOTHING, 2, rng=np.random.default_rng(0))
    for row in picked:
        own = features[targets == targets[row]]
        closeness = own @ unit(own.mean(0, keepdims=True))[0]
        assert features[row] @ unit(own.mean(0, keepdims=True))[0] > np.median(closeness)


def test_badge_in_factors_draws_what_the_whole_gradients_would() -> None:
    rng = np.random.default_rng(3)
    features, probabilities = unit(rng.normal(size=(40, 6))), rng.dirichlet(np.ones(5), size=40)
    errors = probabilities - np.eye(5)[probabilities.argmax(1)]
    gradients = (errors[:, :, None] * features[:, None, :]).reshape(40, -1)
    chance, slow = np.random.default_rng(9), [int(np.argmax((gradients**2).sum(1)))]
    while len(slow) < 8:
        nearest = ((gradients[:, None] - gradients[slow][None]) ** 2).sum(-1).min(1)
        odds = np.where(np.isin(np.arange(40), slow), 0, np.maximum(nearest, 1e-12))
        slow.append(int(chance.choice(40, p=odds / odds.sum())))
    picked = pick_badge(features, probabilities, 8, rng=np.random.default_rng(9))
    assert picked.tolist() == slow


def test_a_model_that_knows_every_label_by_its_name_is_asked_for_its_doubt_from_the_first_text_on() -> None:
    features, targets = make_blobs((50, 50, 50, 50), seed=2, spread=0.3)
    doubt = np.where(targets == 1, 0.9, 0.01)
    rng = np.random.default_rng(0)
    nothing = np.zeros(0, int)
    picked = pick_batch(features, doubt, labelled=NOTHING, targets=nothing, classes=12, count=5, rng=rng, named=True)
    assert set(targets[picked]) == {1}
    assert count_typical(nothing, 12, 5, named=True) == 0
