import numpy as np

from labeling.delta import Tables
from labeling.tables import FEATURES
from tests.training.parts import TEXTS
from training.features import cached_features, digest_text, embed_texts


def test_features_have_length_one_and_keep_the_order(encoder):
    features = embed_texts(encoder, TEXTS)
    assert features.shape == (len(TEXTS), 384)
    assert features.dtype == np.float32
    assert np.allclose(np.linalg.norm(features, axis=1), 1.0, atol=1e-5)
    alone = np.vstack([embed_texts(encoder, [text]) for text in TEXTS])
    assert np.allclose(features, alone, atol=1e-5)


def test_no_texts_give_no_features(encoder):
    assert embed_texts(encoder, []).shape == (0, 384)


def test_only_texts_that_are_missing_are_computed(encoder, tmp_path):
    tables = Tables(tmp_path)
    messages: list[str] = []
    first = cached_features(TEXTS[:2], encoder=encoder, tables=tables, key=b"k")
    texts = [TEXTS[1], TEXTS[2], TEXTS[0], TEXTS[2]]
    second = cached_features(
        texts, encoder=encoder, tables=tables, key=b"k", on_progress=lambda _, message: messages.append(message)
    )
    assert messages == ["1 of 1 texts read"]
    assert np.array_equal(second[[2, 0]], first)
    assert np.allclose(second, embed_texts(encoder, texts), atol=1e-5)
    stored = tables.read(FEATURES)
    assert sorted(stored["text_digest"]) == sorted(digest_text(b"k", text) for text in TEXTS[:3])


def test_what_is_stored_is_what_is_used(encoder, tmp_path):
    tables = Tables(tmp_path)
    cached_features(TEXTS[:1], encoder=encoder, tables=tables, key=b"k")
    told = []
    again = cached_features(TEXTS[:1], encoder=encoder, tables=tables, key=b"k", on_progress=lambda *_: told.append(1))
    assert not told
    other_key = cached_features(TEXTS[:1], encoder=encoder, tables=tables, key=b"other")
    assert np.allclose(again, other_key)
    assert tables.read(FEATURES).height == 2


def test_a_text_stands_in_the_table_as_a_digest_only(encoder, tmp_path):
    cached_features(["canary-7731"], encoder=encoder, tables=Tables(tmp_path), key=b"k")
    assert b"canary-7731" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
