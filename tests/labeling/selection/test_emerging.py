from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from labeling.selection.emerging import count_weeks, find_clusters, find_telling_words, growth, match_groups


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


def test_the_words_of_a_group_tell_it_from_the_others():
    pizza = ["please bring a pizza with ham", "please bring a pizza with tuna", "bring me a pizza please"]
    chess = ["please tell how the king moves in chess", "please tell how the queen moves in chess"]
    words = find_telling_words([pizza, chess], ["please tell the weather", "please bring the bill"], count=3)
    assert words[0][0] == "bring pizza"
    assert set(words[1]) & {"moves chess", "moves", "chess"}
    assert not {"please", "ham", "queen"} & {word for told in words for word in told}


@pytest.mark.parametrize("texts", [[], [""], ["the of and"]])
def test_groups_without_words_have_none_that_tell(texts):
    assert find_telling_words([texts], []) == [[]]


def test_a_group_continues_the_known_one_that_shares_half_of_its_messages():
    known = {"one": frozenset("abcd"), "two": frozenset("xyz")}
    groups = [frozenset("abef"), frozenset("cd"), frozenset("xpqr"), frozenset("mn")]
    assert match_groups(groups, known) == [None, "one", None, None]
    assert match_groups([frozenset("abef")], known) == ["one"]
    assert match_groups([], known) == []


def test_weeks_are_counted_back_from_now():
    now = datetime(2026, 3, 9, tzinfo=UTC)
    times = [now - timedelta(days=days) for days in (0, 6.9, 7, 20, 28, -1)]
    assert count_weeks(times, now=now, weeks=4) == [0, 1, 1, 2]


def test_growth_is_a_z_score():
    assert growth([0, 0, 9, 9]) > 1.96
    assert growth([9, 9, 0, 0]) == -growth([0, 0, 9, 9])
    assert growth([5, 5, 6, 5]) == pytest.approx(0, abs=0.4)
    assert growth([0, 0, 0, 0]) == 0
