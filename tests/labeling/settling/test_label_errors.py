import numpy as np
import pytest

from labeling.settling.label_errors import LeaveOneOut, hunt_errors, rate_suspicion

LABELS = 8


def blobs(count: int, *, flipped: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features around one point a label, the true label of each, and labels of which a share is flipped."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(LABELS, size=count)
    features = rng.normal(size=(LABELS, 32))[truth] + rng.normal(scale=0.8, size=(count, 32))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    given = np.where(rng.random(count) < flipped, (truth + rng.integers(1, LABELS, size=count)) % LABELS, truth)
    return features, truth, given


def even(targets: np.ndarray) -> np.ndarray:
    probs = np.full((len(targets), LABELS), 0.02)
    probs[np.arange(len(targets)), targets] = 1 - 0.02 * (LABELS - 1)
    return probs


def test_leaving_a_row_out_is_what_a_fit_without_it_says():
    features, _, given = blobs(40, flipped=0.2, seed=0)
    doubt = LeaveOneOut(features).doubt(given, labels=LABELS)
    kernel = np.exp(-np.clip(2 - 2 * features @ features.T, 0, None))
    for row in range(3):
        rest = np.setdiff1d(np.arange(40), [row])
        inner = kernel[np.ix_(rest, rest)] + 0.3 * np.eye(39)
        said = kernel[row, rest] @ np.linalg.solve(inner, np.eye(LABELS)[given[rest]])
        own = max(0.0, said[given[row]])
        said[given[row]] = -np.inf
        assert doubt.likelier[row] == said.argmax()
        assert doubt.score[row] == pytest.approx(np.log(max(0.0, said.max()) + 0.1) - np.log(own + 0.1), abs=1e-3)


@pytest.mark.parametrize("share", [0.05, 0.14, 0.25])
def test_most_flips_are_found_for_few_reviews_whatever_their_share(share):
    features, truth, given = blobs(1500, flipped=share, seed=1)
    hunt = hunt_errors(LeaveOneOut(features), given, labels=LABELS, ask=lambda rows: truth[rows], most=1500)
    flips = given != truth
    assert flips[hunt.reviewed].sum() >= 0.93 * flips.sum()
    assert len(hunt.reviewed) <= 1.3 * flips.sum() + 150
    assert (hunt.targets == truth).mean() > 0.99


def test_a_reviewer_s_slip_is_asked_for_again():
    features, truth, given = blobs(1500, flipped=0.2, seed=1)
    rng = np.random.default_rng(0)

    def ask(rows: np.ndarray) -> np.ndarray:
        return np.where(rng.random(len(rows)) < 0.1, rng.integers(LABELS, size=len(rows)), truth[rows])

    hunt = hunt_errors(LeaveOneOut(features), given, labels=LABELS, ask=ask, most=1500)
    looks = hunt.reviews - len(hunt.reviewed)
    assert 0 < looks < 0.15 * len(hunt.reviewed)
    assert (hunt.targets == truth).mean() > 0.98


def test_a_hunt_asks_for_no_more_than_it_may_and_for_no_row_twice_without_cause():
    features, truth, given = blobs(600, flipped=0.25, seed=2)
    asked: list[int] = []

    def ask(rows: np.ndarray) -> np.ndarray:
        asked.extend(rows.tolist())
        return truth[rows]

    hunt = hunt_errors(LeaveOneOut(features), given, labels=LABELS, ask=ask, most=70)
    assert len(asked) == len(set(asked)) == len(hunt.reviewed) == 70
    assert set(np.flatnonzero(hunt.changed)) <= set(asked)


def test_clean_labels_end_a_hunt_early():
    features, truth, _ = blobs(1000, flipped=0.0, seed=3)
    assert (
        len(hunt_errors(LeaveOneOut(features), truth, labels=LABELS, ask=lambda rows: truth[rows], most=1000).reviewed)
        == 150
    )


def test_suspicion_is_over_a_half_for_as_many_as_confident_learning_counts_and_for_the_right_ones():
    features, truth, given = blobs(800, flipped=0.1, seed=4)
    suspicion = rate_suspicion(features, given, even(truth))
    flips = given != truth
    assert (suspicion >= 0.5).sum() == pytest.approx(flips.sum(), rel=0.1)
    assert flips[suspicion >= 0.5].mean() > 0.9
    assert ((suspicion >= 0) & (suspicion < 1)).all()


def test_labels_that_a_model_agrees_with_are_not_suspicious():
    features, truth, _ = blobs(200, flipped=0.0, seed=5)
    assert rate_suspicion(features, truth, even(truth)).max() < 0.5


def test_suspicion_follows_its_row_whatever_the_order():
    features, truth, given = blobs(300, flipped=0.1, seed=6)
    turned = np.random.default_rng(0).permutation(300)
    once = rate_suspicion(features, given, even(truth))
    again = rate_suspicion(features[turned], given[turned], even(truth)[turned])
    assert again == pytest.approx(once[turned], abs=0.02)
