import os
import shutil
import sys
import threading

import pytest

from training.activations import ActivationCache

TEXTS = [f"message {number}" for number in range(6)]
ENCODER = "e" * 64


@pytest.fixture
def often_interrupted():
    """Let threads take turns so often that each meets the other between any two of its steps."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


@pytest.fixture
def cache(tmp_path):
    return ActivationCache(tmp_path, key=b"key", max_bytes=10**9)


def states(cache, texts, *, dimension=4):
    import torch

    return {
        name: torch.full((len(text), dimension), float(text[-1]), dtype=torch.float16)
        for name, text in zip(cache.digests(texts), texts, strict=True)
    }


def found(cache, texts, *, encoder=ENCODER, layers=3):
    """Return the texts that are kept, each checked to be what was kept."""
    held = cache.find(encoder, layers, cache.digests(texts))
    expected = states(cache, texts)
    assert all(bool((held[name] == expected[name]).all()) for name in held)
    return [text for text, name in zip(texts, cache.digests(texts), strict=True) if name in held]


def test_what_is_kept_is_found_by_encoder_layers_and_text(cache):
    cache.keep(ENCODER, 3, states(cache, TEXTS[:2]))
    cache.keep(ENCODER, 3, states(cache, TEXTS[4:]))
    assert found(cache, TEXTS) == [*TEXTS[:2], *TEXTS[4:]]
    assert found(cache, TEXTS, layers=2) == []
    assert found(cache, TEXTS, encoder="f" * 64) == []


def test_another_key_finds_nothing(cache, tmp_path):
    cache.keep(ENCODER, 3, states(cache, TEXTS))
    assert found(ActivationCache(tmp_path, key=b"other", max_bytes=10**9), TEXTS) == []


@pytest.mark.parametrize("place", [5, -5])
def test_a_damaged_file_is_noticed_removed_and_its_texts_are_missing(cache, tmp_path, place):
    cache.keep(ENCODER, 3, states(cache, TEXTS[:2]))
    [damaged] = tmp_path.glob("*/*.safetensors")
    content = bytearray(damaged.read_bytes())
    content[place] ^= 0xFF
    damaged.write_bytes(content)
    cache.keep(ENCODER, 3, states(cache, TEXTS[4:]))
    assert found(cache, TEXTS) == TEXTS[4:]
    assert not damaged.exists()


def test_what_was_used_longest_ago_goes_first(cache, tmp_path):
    seen = set()
    for age, text in enumerate(TEXTS[:3]):
        cache.keep(ENCODER, 3, states(cache, [text]))
        [new] = set(tmp_path.glob("*/*.safetensors")) - seen
        os.utime(new, (age, age))
        seen.add(new)
    assert found(cache, TEXTS[:1]) == TEXTS[:1]
    small = ActivationCache(tmp_path, key=b"key", max_bytes=sum(path.stat().st_size for path in seen))
    small.keep(ENCODER, 3, states(cache, TEXTS[3:4]))
    assert found(cache, TEXTS) == [TEXTS[0], TEXTS[2], TEXTS[3]]


def test_many_small_files_are_joined_and_nothing_is_lost(cache, tmp_path):
    texts = [f"message number {number % 10}" + "x" * number + "1" for number in range(40)]
    for text in texts:
        cache.keep(ENCODER, 3, states(cache, [text]))
    assert len(list(tmp_path.glob("*/*.safetensors"))) <= 17
    assert found(cache, texts) == texts


def test_a_run_killed_before_it_removed_what_it_joined_loses_nothing(cache, tmp_path):
    texts = [f"message {'x' * number}1" for number in range(16)]
    separate = ActivationCache(tmp_path / "separate", key=b"key", max_bytes=10**9)
    for text in texts:
        separate.keep(ENCODER, 3, states(cache, [text]))
    cache.keep(ENCODER, 3, states(cache, [f"longer {number}" for number in range(20)]))
    for text in texts:
        cache.keep(ENCODER, 3, states(cache, [text]))
    joined = sorted(tmp_path.glob("*/*.safetensors"))
    assert len(joined) == 2
    for shard in tmp_path.glob("separate/*/*.safetensors"):
        shutil.copy(shard, joined[0].parent)

    cache.keep(ENCODER, 3, states(cache, texts[:1]))
    assert sorted(tmp_path.glob("*/*.safetensors")) == joined
    assert found(cache, texts) == texts


def test_forgetting_a_text_leaves_no_file_that_holds_it(cache, tmp_path):
    cache.keep(ENCODER, 3, states(cache, TEXTS[:2]))
    cache.keep(ENCODER, 2, states(cache, TEXTS[1:3]))
    cache.keep(ENCODER, 3, states(cache, TEXTS[4:]))
    assert cache.forget(cache.digests([TEXTS[1]])) == 2
    assert found(cache, TEXTS) == TEXTS[4:]
    assert len(list(tmp_path.glob("*/*.safetensors"))) == 1


@pytest.mark.usefixtures("often_interrupted")
@pytest.mark.parametrize("turn", range(5))
def test_two_runs_share_a_folder(tmp_path, turn):
    def work(first):
        mine = ActivationCache(tmp_path, key=b"key", max_bytes=10**9)
        for number in range(first, first + 30):
            mine.keep(ENCODER, 3, states(mine, [f"text {number}"]))
            assert len(found(mine, [f"text {number}"])) == 1

    faults = []
    threads = [threading.Thread(target=_noting(work, faults), args=(first,)) for first in (0, 15)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    texts = [f"text {number}" for number in range(45)]
    assert found(ActivationCache(tmp_path, key=b"key", max_bytes=10**9), texts) == texts


def _noting(work, faults):
    def run(*args):
        try:
            work(*args)
        except BaseException as error:
            faults.append(error)

    return run


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    cache = ActivationCache(blocked, key=b"key", max_bytes=10**9)
    cache.keep(ENCODER, 3, states(cache, TEXTS))
    assert found(cache, TEXTS) == []
