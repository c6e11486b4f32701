import numpy as np

from labeling.selection.diversity import pick_badge


def doubtful(*, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Four tight clusters on the axes of a 4-d space; the model doubts those of the first two only."""
    rng = np.random.default_rng(seed)
    near = np.repeat(np.eye(4), rows, axis=0) + rng.normal(0, 0.01, (4 * rows, 4))
    probabilities = np.repeat([[0.55, 0.45], [0.45, 0.55], [0.999, 0.001], [0.001, 0.999]], rows, axis=0)
    return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32), probabilities


def test_a_batch_is_spread_over_what_the_model_doubts():
    features, probabilities = doubtful(rows=25, seed=0)
    groups = pick_badge(features, probabilities, 8, rng=np.random.default_rng(0)) // 25
    assert {0, 1} <= set(groups)
    assert (groups < 2).sum() >= 6


def test_a_batch_is_distinct_and_repeatable():
    features, probabilities = doubtful(rows=25, seed=1)
    first, again = (pick_badge(features, probabilities, 20, rng=np.random.default_rng(3)) for _ in range(2))
    assert first.tolist() == again.tolist()
    assert len(set(first)) == 20
