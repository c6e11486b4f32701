import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.batches import plan_batches, tokenize


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 100), st.sampled_from([None, 3]))
def test_batches_hold_each_text_once_and_keep_to_the_budget(lengths, batch_tokens, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    batches = plan_batches(np.array(lengths, dtype=np.int64), batch_tokens=batch_tokens, rng=rng)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[row] for row in batch)
        assert padded <= batch_tokens or len(batch) == 1


def test_chance_comes_from_the_rng_alone():
    lengths = np.random.default_rng(0).integers(3, 30, size=50)
    one, same, other = (plan_batches(lengths, batch_tokens=64, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert [batch.tolist() for batch in one] == [batch.tolist() for batch in same]
    assert [batch.tolist() for batch in one] != [batch.tolist() for batch in other]


def test_a_long_text_loses_its_end_and_padding_is_masked(encoder):
    tokens = tokenize(encoder.tokenizer, ["word " * 500, "word"], max_tokens=16)
    assert tokens.lengths.tolist() == [16, 3]
    ids, mask = tokens.collate(np.array([0, 1]))
    assert mask.sum(dim=1).tolist() == [16, 3]
    assert ids[1, 3:].unique().tolist() == [tokens.pad_id]
