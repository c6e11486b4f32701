"""Near copies are found, and nothing else is chained to them."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from training.duplicates import _cut, _is_near, group_rows, link_near, plain, straddling

DATA = Path(os.environ.get("CXLOOP_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.fixture(scope="module")
def banking77():
    if not (DATA / "banking77.csv").is_file():
        pytest.skip("needs banking77.csv in the folder that CXLOOP_DATA names")
    return pl.read_csv(DATA / "banking77.csv")


def groups_of(*texts):
    series = plain(pl.Series(texts))
    return group_rows([series], link_near(series)).tolist()


@pytest.mark.parametrize(
    "copy",
    ["i lost my card!!", "I  lost\nmy card", "I lots my card", "I lost my cart", "I lst my card", "Hi, I lost my card"],
)
def test_a_copy_is_found(copy):
    assert groups_of("I lost my card", "Where is my parcel?", copy) == [0, 1, 0]


def test_of_short_texts_with_a_typo_nearly_all_are_found():
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abcdefghij klmnop"), size=24)).strip() for _ in range(500)]
    typos = [f"{text[:9]}z{text[10:]}" for text in texts]
    assert straddling(texts, typos).mean() > 0.98
    assert not straddling(texts[:250], texts[250:]).any()


@pytest.mark.parametrize("other", ["I found your cat", "My card was stolen", "Can I get a refund?", "hi", "", "👍"])
def test_what_says_something_else_is_no_copy(other):
    assert groups_of("I lost my card", other) == [0, 1]


def test_short_texts_and_signs_are_told_apart():
    assert groups_of("no", "go", "?", "👍", "", "No.", "a") == [0, 1, 2, 3, 4, 0, 5]


def test_wide_letters_and_placeholders_count_as_written():
    assert groups_of("Ｃａｒｄ ｌｏｓｔ ｙｅｓｔｅｒｄａｙ", "card lost yesterday") == [0, 0]
    assert groups_of("write to <EMAIL> please", "write to <EMAIL> please!") == [0, 0]


def test_a_text_from_one_template_is_one_group_and_costs_no_square():
    texts = [f"your verification code is {n}, please do not share it" for n in range(20_000)]
    assert set(groups_of(*texts)) == {0}


def test_banking77_is_not_chained(banking77):
    """Every near pair that comparing all with all finds lies in a group, and no group holds a whole intent."""
    texts = plain(banking77.filter(pl.col("split") == "train")["text"]).head(3000)
    groups = group_rows([texts], link_near(texts))
    pieces = _cut(texts.to_list())
    sizes, shared = np.diff(pieces.indptr), (pieces @ pieces.T).toarray()
    one, two = np.nonzero(np.triu(_is_near(sizes[:, None], sizes[None], shared), k=1))
    assert len(one) > 100
    assert (groups[one] == groups[two]).all()
    assert np.bincount(groups).max() < 15


def test_the_eleven_groups_of_banking77_are_found(banking77):
    train, test = (banking77.filter(pl.col("split") == split)["text"] for split in ("train", "test"))
    bare = [
        part.str.to_lowercase().str.replace_all(r"[^\w\s]", "").str.replace_all(r"\s+", " ").str.strip_chars()
        for part in (train, test)
    ]
    known = bare[1].is_in(bare[0].implode()).to_numpy()
    found = straddling(train.to_list(), test.to_list())
    assert known.sum() == 11
    assert found[known].all()
    same = straddling(train.to_list(), test.to_list(), near=False)
    assert found[same].all()
    assert 11 <= same.sum() < found.sum() < 0.25 * len(test)


def test_nothing_straddles_nothing():
    assert straddling([], ["a text"]).tolist() == [False]
    assert straddling(["a text"], []).tolist() == []
