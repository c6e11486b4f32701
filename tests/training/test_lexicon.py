import numpy as np
import pytest

from training.lexicon import LEXICON_WIDTHS, add_lexicon


def test_without_a_lexicon_a_feature_is_what_the_encoder_says():
    features = np.ones((2, 3), dtype=np.float32)
    assert add_lexicon(features, ["great", "awful"], None) is features


def test_words_and_rules_say_the_mood():
    texts = ["a great shop", "not a great shop", "an awful shop", "AWFUL!!!", "a shop", ":D", ""]
    found = add_lexicon(np.ones((len(texts), 3)), texts, "vader")
    assert found.shape == (len(texts), 3 + LEXICON_WIDTHS["vader"])
    assert found.dtype == np.float32
    great, not_great, awful, loud, plain, smile, empty = found[:, -1]
    assert loud < awful < 0 < great
    assert not_great < 0
    assert smile > 0
    assert plain == empty == 0
    assert found[:-1, 3:6].sum(axis=1) == pytest.approx(1, abs=0.002)


def test_no_texts_give_no_rows():
    assert add_lexicon(np.zeros((0, 3)), [], "vader").shape == (0, 7)


def test_a_long_text_is_read_as_far_as_an_encoder_would():
    long = "a great shop " + "and so on " * 200_000
    assert add_lexicon(np.zeros((1, 0)), [long], "vader")[0].tolist() == (
        add_lexicon(np.zeros((1, 0)), [long[:1000]], "vader")[0].tolist()
    )
