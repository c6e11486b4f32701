import numpy as np
import pandas as pd
import pytest

from labeling.errors import ModelError
from serving.texts import read_texts


@pytest.mark.parametrize("column", ["text", 0])
def test_texts_come_in_order_and_missing_ones_are_empty(column):
    frame = pd.DataFrame({column: ["b", None, np.nan, "", "a"]})
    assert read_texts(frame) == ["b", "", "", "", "a"]
    assert read_texts(frame.head(0)) == []


def test_another_column_is_refused_by_name():
    with pytest.raises(ModelError, match=r"first column is text, found 'id' first"):
        read_texts(pd.DataFrame({"id": ["1"], "text": ["a"]}))


def test_what_is_no_text_is_refused_without_repeating_it():
    with pytest.raises(ModelError, match="found a value of type list") as caught:
        read_texts(pd.DataFrame({"text": [["secret"]]}))
    assert "secret" not in str(caught.value)
