import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from labeling.errors import ModelError
from tests.training.blobs import make_blobs
from training import novelty as subject
from training.novelty import Novelty, fit_novelty


@pytest.fixture(scope="module")
def clouds():
    """Ten clouds, of which the last three are unknown: features and numbers of known training and of all new texts."""
    features, targets = make_blobs((80,) * 10, seed=3, spread=0.7, dimensions=24)
    features = features.astype(np.float32)
    is_new = np.arange(len(targets)) % 3 == 0
    is_known = targets < 7
    train = ~is_new & is_known
    head = LogisticRegression(C=10).fit(features[train], targets[train])
    new = is_new | ~is_known
    return (features[train], targets[train]), (features[new], head.decision_function(features[new]), ~is_known[new])


def test_what_is_of_no_trained_label_scores_higher(clouds):
    (features, targets), (new, logits, is_unknown) = clouds
    found = fit_novelty(features, targets).measure(new, logits)
    assert found.dtype == np.float32
    assert found.shape == (len(new),)
    assert roc_auc_score(is_unknown, found) > 0.9
    assert roc_auc_score(is_unknown, found) > roc_auc_score(is_unknown, -logits.max(axis=1))


def test_a_trained_text_is_nothing_remarkable(clouds):
    features, targets = clouds[0]
    novelty = fit_novelty(features, targets)
    certain = 20 * np.eye(7)[targets]
    assert np.median(novelty.measure(features, certain)) < 0.5
    assert np.median(novelty.measure(features, certain)) < np.median(
        novelty.measure(features, np.zeros((len(targets), 7)))
    )


def test_stored_and_loaded_it_measures_the_same(clouds, tmp_path):
    from safetensors.numpy import load_file, save_file

    (features, targets), (new, logits, _) = clouds
    novelty = fit_novelty(features, targets)
    save_file(novelty.arrays(), tmp_path / "novelty.safetensors")
    again = Novelty.from_arrays(load_file(tmp_path / "novelty.safetensors"))
    np.testing.assert_array_equal(again.measure(new, logits), novelty.measure(new, logits))


def test_a_text_scores_the_same_whatever_lies_beside_it(clouds):
    (features, targets), (new, logits, _) = clouds
    novelty = fit_novelty(features, targets)
    many = np.tile(new, (4, 1)), np.tile(logits, (4, 1))
    alone = [novelty.measure(new[row : row + 1], logits[row : row + 1])[0] for row in range(5)]
    np.testing.assert_allclose(novelty.measure(*many)[:5], alone, atol=1e-4)
    np.testing.assert_allclose(novelty.measure(*many)[-len(new) :], novelty.measure(new, logits), atol=1e-4)
    assert novelty.measure(new[:0], logits[:0]).shape == (0,)


def test_of_many_texts_an_even_share_of_each_label_is_kept(clouds, monkeypatch):
    (features, targets), (new, logits, is_unknown) = clouds
    monkeypatch.setattr(subject, "_EXEMPLARS", 140)
    novelty = fit_novelty(features, targets)
    counts = np.diff(novelty.starts)
    assert counts.sum() <= 140
    assert counts.min() >= 0.8 * counts.max()
    assert roc_auc_score(is_unknown, novelty.measure(new, logits)) > 0.85


def test_three_texts_a_label_are_no_trap(clouds):
    (features, targets), (new, logits, is_unknown) = clouds
    few = np.concatenate([np.flatnonzero(targets == label)[:3] for label in range(7)])
    assert roc_auc_score(is_unknown, fit_novelty(features[few], targets[few]).measure(new, logits)) > 0.8


@pytest.mark.parametrize("sizes", [(1, 1), (1, 30), (2, 2, 1)])
def test_labels_of_one_text_are_no_obstacle(sizes):
    features, targets = make_blobs(sizes, seed=1)
    novelty = fit_novelty(features.astype(np.float32), targets)
    found = novelty.measure(features.astype(np.float32), np.eye(len(sizes))[targets])
    assert np.isfinite(found).all()


def test_equal_texts_are_no_obstacle():
    features = np.tile(np.array([[0.6, 0.8]], dtype=np.float32), (6, 1))
    targets = np.array([0, 1, 0, 1, 0, 1])
    novelty = fit_novelty(features, targets)
    found = novelty.measure(np.array([[0.6, 0.8], [-0.8, 0.6]], dtype=np.float32), np.zeros((2, 2)))
    assert np.isfinite(found).all()


def test_of_several_layers_the_last_is_compared(clouds):
    (features, targets), (new, logits, _) = clouds
    rng = np.random.default_rng(0)

    def below(rows):
        lower = rng.normal(size=rows.shape).astype(np.float32)
        return np.hstack([lower / np.linalg.norm(lower, axis=1, keepdims=True), rows]) / np.sqrt(2)

    alone, both = fit_novelty(features, targets), fit_novelty(below(features), targets, pooled_layers=2)
    assert both.centre.shape == alone.centre.shape
    np.testing.assert_allclose(both.measure(below(new), logits), alone.measure(new, logits), atol=1e-3)


def test_of_a_quadratic_head_a_small_largest_logit_is_novel(clouds):
    (features, targets), (new, logits, _) = clouds
    novelty = fit_novelty(features, targets, is_quadratic=True)
    shifted = novelty.measure(new, logits - 1) - novelty.measure(new, logits)
    np.testing.assert_allclose(shifted, 0.4, atol=1e-4)
    before = novelty.arrays()
    del before["largest"]
    of_a_line = Novelty.from_arrays(before)
    np.testing.assert_allclose(of_a_line.measure(new, logits - 1), of_a_line.measure(new, logits), atol=1e-4)


def test_arrays_that_are_not_a_novelty_are_refused(clouds):
    arrays = fit_novelty(*clouds[0]).arrays()
    with pytest.raises(ModelError, match="no whitener"):
        Novelty.from_arrays({name: array for name, array in arrays.items() if name != "whitener"})
    with pytest.raises(ModelError, match="means of shape"):
        Novelty.from_arrays(arrays | {"means": arrays["means"][:-1]})
    with pytest.raises(ModelError, match="exemplars of shape"):
        Novelty.from_arrays(arrays | {"exemplars": arrays["exemplars"][:-1]})
