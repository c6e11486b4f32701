import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.batches import plan_batches, plan_even_batches, tokenize


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


@given(
    lengths=st.lists(st.integers(1, 128), max_size=200), batch_tokens=st.integers(16, 600), threads=st.integers(1, 4)
)
def test_even_batches_hold_each_text_once_and_are_no_more_than_keep_the_threads_busy(lengths, batch_tokens, threads):
    rows = np.array(lengths, dtype=np.int64)
    plain = plan_batches(rows, batch_tokens=batch_tokens)
    even = plan_even_batches(rows, batch_tokens=batch_tokens, threads=threads)
    assert sorted(np.concatenate([*even, []]).tolist()) == list(range(len(lengths)))
    assert all(len(batch) * rows[batch].max() <= batch_tokens or len(batch) == 1 for batch in even)
    assert len(plain) <= len(even) <= threads * -(-len(plain) // threads)


def test_what_would_be_three_batches_is_four_of_the_same_size_on_two_threads():
    lengths = np.full(60, 24)
    assert [len(batch) for batch in plan_batches(lengths, batch_tokens=512)] == [21, 21, 18]
    assert [len(batch) for batch in plan_even_batches(lengths, batch_tokens=512, threads=2)] == [15, 15, 15, 15]
