"""Labelled CSV files of all kinds are read, or refused with what they lack."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from labeling.errors import SourceError
from labeling.sources.labelled import CsvColumns, count_tasks, find_columns, read_labelled_csv

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_each_task_has_its_column_and_quoted_texts_keep_their_commas(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'body,topic,mood\n"Card, lost",Card lost,neg\nHello,Greeting,pos\n')
    columns = find_columns(path, text="body", tasks={"intent": "topic", "sentiment": "mood"})
    rows = read_labelled_csv(path, columns, now=NOW)
    assert [(row.key, row.text, row.labels) for row in rows] == [
        ("1", "Card, lost", {"intent": "Card lost", "sentiment": "neg"}),
        ("2", "Hello", {"intent": "Greeting", "sentiment": "pos"}),
    ]
    assert {row.answered_at for row in rows} == {NOW}
    assert count_tasks(rows) == {"intent": 2, "sentiment": 2}


def test_rows_without_text_or_label_are_left_out_and_partly_labelled_ones_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,intent,sentiment\n ,a,neg\nnothing said,,\nhalf,,neg\n")
    rows = read_labelled_csv(path, find_columns(path, text="text", tasks={}), now=NOW)
    assert [(row.text, row.labels) for row in rows] == [("half", {"sentiment": "neg"})]


def test_a_file_with_text_and_label_is_read_as_intent(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "\ufefftext,label\nwhere is my card,card\n")
    assert find_columns(path, text="text", tasks={}) == CsvColumns("text", {"intent": "label"})


def test_missing_columns_are_named_beside_those_that_are_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "message,topic\nhi,greeting\n")
    with pytest.raises(SourceError, match="needs the columns text, mood, found message, topic: name yours with"):
        find_columns(path, text="text", tasks={"sentiment": "mood"})
    with pytest.raises(SourceError, match="needs the columns of labels, found message, topic"):
        find_columns(path, text="message", tasks={})


@pytest.mark.parametrize("content", [b"text,label\n\xff\xfe caf\xe9,a\n", b'text,label\n"open,a\n'])
def test_what_is_not_a_csv_in_utf8_is_refused_without_its_content(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "a.csv", content)
    with pytest.raises(SourceError, match="cannot be read as CSV in UTF-8") as caught:
        read_labelled_csv(path, CsvColumns("text", {"intent": "label"}), now=NOW)
    assert "open" not in str(caught.value).replace(str(path), "")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.csv is needed, and there is no such file"):
        find_columns(tmp_path / "none.csv", text="text", tasks={})
