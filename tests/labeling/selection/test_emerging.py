import numpy as np

from labeling.selection.emerging import find_clusters


def around(direction, count, rng, spread=0.05):
    """Return ``count`` unit vectors near ``direction``."""
    points = direction + rng.normal(scale=spread, size=(count, len(direction)))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def test_alike_messages_are_grouped_the_largest_first_and_stragglers_left_out():
    rng, axes = np.random.default_rng(1), np.eye(24)
    stragglers = axes[10:16].astype(np.float32)
    features = np.concatenate([around(axes[0], 6, rng), stragglers, around(axes[1], 9, rng)])
    groups = [set(cluster.members) for cluster in find_clusters(features, smallest=5)]
    assert groups == [set(range(12, 21)), set(range(6))]


def test_the_most_typical_message_comes_first():
    rng, axes = np.random.default_rng(2), np.eye(8)
    ring = np.concatenate([axes[0] + 0.3 * axes[2:], axes[0] - 0.3 * axes[2:]]).astype(np.float32)
    ring /= np.linalg.norm(ring[0])
    middle = axes[:1].astype(np.float32)
    other = around(axes[1], 12, rng)
    clusters = find_clusters(np.concatenate([ring, middle, other]), smallest=5)
    [found] = [cluster for cluster in clusters if 12 in cluster.members]
    assert found.members[0] == 12


def test_too_few_messages_make_no_group():
    features = np.repeat(np.eye(4, dtype=np.float32)[:1], 4, axis=0)
    assert find_clusters(features, smallest=5) == []
    assert find_clusters(np.empty((0, 4), dtype=np.float32), smallest=2) == []
