"""A feed from any labelled file: read, named, dealt out once, and clear about what is wrong with a file."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from labeling.errors import ConfigError
from labeling.sources.table_map import event_columns
from labeling.tables import INTERACTIONS
from pipelines.replay.labelled_file import FileRates, LabelledFile, derive_taxonomy, play_files, read_labelled

START = datetime(2026, 3, 2, tzinfo=UTC)
DATA = Path(os.environ.get("CXLOOP_DATA", Path(__file__).parents[4] / "shared" / "data"))
ROWS = pl.DataFrame(
    {
        "text": [f"text {number}" for number in range(60)],
        "label": ["CardArrival", "card lost", "9 lives", "out_of_scope"] * 15,
        "split": ["train"] * 50 + ["test"] * 10,
    }
)
RATED = pl.DataFrame(
    {
        "text": [f"mood {number}" for number in range(40)],
        "label": ["positive", "negative"] * 20,
        "ratings": ["3|2|0|1", "-1|-2|-3|0"] * 20,
    }
)


def write_csv(path: Path) -> Path:
    ROWS.write_csv(path.with_suffix(".csv"))
    return path.with_suffix(".csv")


def write_lines(path: Path) -> Path:
    ROWS.write_ndjson(path.with_suffix(".jsonl"))
    return path.with_suffix(".jsonl")


def write_parquet(path: Path) -> Path:
    ROWS.write_parquet(path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


@pytest.fixture
def intents(tmp_path: Path) -> LabelledFile:
    return read_labelled(str(write_csv(tmp_path / "intents")), task="intent")


@pytest.fixture
def moods(tmp_path: Path) -> LabelledFile:
    RATED.write_csv(tmp_path / "moods.csv")
    return read_labelled(str(tmp_path / "moods.csv"), task="sentiment")


@pytest.mark.parametrize("write", [write_csv, write_lines, write_parquet])
def test_every_format_gives_the_same_rows(write: Callable[[Path], Path], tmp_path: Path) -> None:
    file = read_labelled(str(write(tmp_path / "intents")), task="intent")
    assert [row.text for row in file.rows] == ROWS["text"].to_list()
    assert [row.split for row in file.rows] == ROWS["split"].to_list()
    assert [row.label for row in file.rows[:4]] == ["card_arrival", "card_lost", "label_9_lives", "none_of_these"]


def test_the_taxonomy_follows_from_the_labels(intents: LabelledFile, moods: LabelledFile) -> None:
    taxonomy = derive_taxonomy([intents, moods])
    assert taxonomy.task("intent").label_names == ("card_arrival", "card_lost", "label_9_lives")
    assert [label.title for label in taxonomy.task("intent").labels] == ["Cardarrival", "Card lost", "9 lives"]
    assert taxonomy.task("intent").rejects
    assert taxonomy.task("sentiment").label_names == ("negative", "positive")
    assert not taxonomy.task("sentiment").rejects


def test_labels_that_become_the_same_name_stay_apart(tmp_path: Path) -> None:
    labels = ["a-b", "a b", "A_B", "é", "ß", "c" * 90, "c" * 91]
    pl.DataFrame({"text": labels, "label": labels}).write_csv(tmp_path / "odd.csv")
    file = read_labelled(str(tmp_path / "odd.csv"), task="intent")
    assert len({row.label for row in file.rows}) == len(labels)
    assert len(derive_taxonomy([file]).task("intent").labels) == len(labels)


def test_shared_first_words_make_domains(tmp_path: Path) -> None:
    labels = ["card_lost", "card_late", "pay_now", "pay_later", "hello"]
    pl.DataFrame({"text": labels, "label": labels}).write_csv(tmp_path / "x.csv")
    task = derive_taxonomy([read_labelled(str(tmp_path / "x.csv"), task="intent")]).task("intent")
    domains = {label.name: label.domain for label in task.labels}
    assert domains == {"card_lost": "Card", "card_late": "Card", "pay_now": "Pay", "pay_later": "Pay", "hello": "Other"}


def test_every_row_is_dealt_once_at_most_and_test_rows_never(intents: LabelledFile, moods: LabelledFile) -> None:
    feed = play_files([intents, moods], rates=FileRates(weeks=2, history=10), seed=1, start=START)
    weeks = (feed.history, *feed.weeks)
    assert [len(week.messages) for week in weeks] == [20, 20 + 11, 20 + 11]
    sent = [message.text for week in weeks for message in week.messages]
    assert len(set(sent)) == len(sent) == 82
    tests = [message.text for message in feed.held_out if message.truth.keys() == {"intent"}]
    assert sorted(tests) == sorted(f"text {number}" for number in range(50, 60))
    assert not set(sent) & {message.text for message in feed.held_out}
    for week in weeks:
        times = [message.occurred_at for message in week.messages]
        assert times == sorted(times)
        assert week.starts_at <= times[0]
        assert times[-1] < week.ends_at - timedelta(hours=5)
        assert all(set(message.event) == set(event_columns(INTERACTIONS)) - {"updated_at"} for message in week.messages)
        assert all(json.loads(json.dumps(message.event)) == message.event for message in week.messages)


def test_a_row_says_of_another_files_task_what_it_can(intents: LabelledFile, moods: LabelledFile) -> None:
    feed = play_files([intents, moods], rates=FileRates(weeks=1, history=10), seed=1, start=START)
    for message in feed.weeks[0].messages:
        if message.text.startswith("mood"):
            assert message.truth["intent"] == "none_of_these"
            assert len(message.ratings["sentiment"]) == 4
        else:
            assert message.truth["sentiment"] == "cannot_tell"
            assert not message.ratings


def test_a_share_of_a_file_without_a_test_split_is_never_sent(moods: LabelledFile) -> None:
    def held_out(share: float) -> list[dict[str, str]]:
        rates = FileRates(weeks=1, history=10, held_out=share)
        return [dict(message.truth) for message in play_files([moods], rates=rates, seed=1, start=START).held_out]

    assert len(held_out(0.25)) == 10
    assert {label for truth in held_out(0.25) for label in truth.values()} == {"positive", "negative"}
    assert held_out(0.0) == []


def test_the_seed_alone_decides_the_order(intents: LabelledFile) -> None:
    one, again, other = (
        play_files([intents], rates=FileRates(weeks=1, history=10, weekly=20), seed=seed, start=START)
        for seed in (1, 1, 2)
    )
    assert one == again
    assert {message.text for message in one.history.messages} != {message.text for message in other.history.messages}
    assert len(one.weeks[0].messages) == 20


def test_too_few_rows_say_how_many_are_needed(intents: LabelledFile) -> None:
    with pytest.raises(ConfigError, match="needs 70 labelled texts outside its test split, found 50"):
        play_files([intents], rates=FileRates(weeks=3, history=10, weekly=20), seed=1, start=START)
    with pytest.raises(ConfigError, match=r"needs 503 .* found 50"):
        play_files([intents], rates=FileRates(), seed=1, start=START)


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("lacks.csv", b"body,label\na,b\n", "column text: needed, found body, label"),
        ("empty.csv", b"", r"cannot be read as csv in UTF-8 \(NoDataError\)"),
        ("none.csv", b"text,label\n", "needs labelled texts, found no rows"),
        ("holes.csv", b"text,label\nhi,a\n  ,b\nyo,\n", "2 rows have no text or no label, the first is row 2"),
        ("one.csv", b"text,label\nhi,a\nyo,a\n", "needs two different labels at least, found 1"),
        ("latin.csv", "text,label\ncafé,a\n".encode("latin-1"), "cannot be read as csv in UTF-8"),
        ("ragged.csv", b"text,label\na,b,c,d\n", "cannot be read as csv"),
        ("semicolons.csv", b"text;label\na, b and c;x\n", "needs a row of names first, commas between columns"),
        ("broken.jsonl", b'{"text": "a", "label"\n', "cannot be read as lines"),
        ("broken.parquet", b"PAR0", "cannot be read as parquet"),
        ("rated.csv", b"text,label,ratings\na,positive,1|x\nb,negative,1\n", "column ratings: needs numbers"),
        ("what.xlsx", b"PK", r"needs to end in \.csv, .* found \.xlsx"),
    ],
)
def test_a_faulty_file_is_refused_with_its_name(tmp_path: Path, name: str, content: bytes, fault: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=fault) as caught:
        read_labelled(str(tmp_path / name), task="sentiment")
    assert name in str(caught.value)


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.csv: needed, but there is no such file in"):
        read_labelled(str(tmp_path / "no.csv"), task="intent")


def test_a_hub_data_set_without_a_network_is_a_clear_error() -> None:
    code = (
        "from pipelines.replay.labelled_file import read_labelled\n"
        "from labeling.errors import ConfigError\n"
        "try:\n    read_labelled('larkfield/no-such-set', task='intent')\n"
        "except ConfigError as error:\n    print(error)\n"
    )
    offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=True)
    assert "larkfield/no-such-set: no such file here, and the hub does not give it" in done.stdout
    assert "pass a .csv, .jsonl or .parquet file" in done.stdout


@pytest.mark.skipif(not (DATA / "banking77.csv").exists(), reason="needs the public data sets (CXLOOP_DATA)")
def test_public_files_play_as_they_are() -> None:
    intents = read_labelled(str(DATA / "banking77.csv"), task="intent")
    moods = read_labelled(str(DATA / "vader_ratings" / "tweets.csv"), task="sentiment")
    taxonomy = derive_taxonomy([intents, moods])
    assert len(taxonomy.task("intent").labels) == 77
    assert taxonomy.task("sentiment").label_names == ("negative", "neutral", "positive")
    feed = play_files([intents, moods], rates=FileRates(weeks=3, history=500, weekly=400), seed=1, start=START)
    assert [len(week.messages) for week in feed.weeks] == [800, 800, 800]
    assert Counter(task for message in feed.held_out for task in message.truth) == {"intent": 3080, "sentiment": 840}
