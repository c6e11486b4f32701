import pytest

from training.judging.cost import measure_megabytes, measure_seconds


def test_the_seconds_of_a_text_are_the_median_round_after_warming_up():
    times = iter([0.0, 3.0, 10.0, 90.0, 100.0, 104.0])
    asked = []
    taken = measure_seconds(asked.append, ["a", "b"], rounds=3, clock=lambda: next(times))
    assert taken == 2.0  # rounds of 3, 80 and 4 seconds
    assert asked == [["a", "b"]] * 4


def test_megabytes_are_those_of_all_files(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "weights").write_bytes(b"0" * 1_500_000)
    (tmp_path / "model.json").write_bytes(b"0" * 500_000)
    assert measure_megabytes(tmp_path) == pytest.approx(2.0)
