import numpy as np

from labeling.selection.diversity import Picked, pick_cover


def clusters(*, each: int, seed: int) -> np.ndarray:
    """Four tight clusters on the axes of a 4-d space."""
    rng = np.random.default_rng(seed)
    near = np.repeat(np.eye(4), each, axis=0) + rng.normal(0, 0.01, (4 * each, 4))
    return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)


def test_a_cover_reaches_where_the_weight_is():
    features = clusters(each=25, seed=0)
    weights = np.repeat([1.0, 1.0, 1e-9, 1e-9], 25)
    groups = pick_cover(features, weights, 12, rng=np.random.default_rng(0)) // 25
    assert (groups < 2).sum() >= 9
    even = pick_cover(features, np.ones(100), 12, rng=np.random.default_rng(0)) // 25
    assert set(even) == {0, 1, 2, 3}


def test_a_cover_is_distinct_seeded_and_whole_where_the_pool_is_small():
    features = clusters(each=25, seed=1)
    weights = np.linspace(0.1, 1, 100)
    first, again = (pick_cover(features, weights, 20, rng=np.random.default_rng(3)) for _ in range(2))
    assert first.tolist() == again.tolist()
    assert len(set(first)) == len(first) <= 20
    assert sorted(pick_cover(features[:5], weights[:5], 5, rng=np.random.default_rng(0))) == [0, 1, 2, 3, 4]


def test_copies_and_near_duplicates_are_taken_once():
    features = clusters(each=3, seed=2)
    names = np.array([f"t{row}" for row in range(12)], dtype=object)
    assert Picked(features, names, similarity=0.95, room=12).take(np.arange(12), 12) == [0, 3, 6, 9]
    names[:] = "same"
    assert Picked(features, names, similarity=1.0, room=12).take(np.arange(12), 12) == [0]


def test_taking_stops_at_the_count_and_remembers():
    picked = Picked(np.eye(4), np.array(list("abcd"), dtype=object), similarity=0.95, room=4)
    assert picked.take(np.array([2, 0]), 1) == [2]
    assert picked.take(np.arange(4), 4) == [0, 1, 3]
    assert picked.rows == [2, 0, 1, 3]
