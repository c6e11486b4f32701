"""What the registered models are asked with, brought to a list of texts."""

from typing import TYPE_CHECKING

from labeling.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd


def read_texts(model_input: "pd.DataFrame") -> list[str]:
    """Return the texts of what MLflow hands to a model: a frame whose one column is ``text`` or has no name.

    Missing texts are empty ones. MLflow passes on the first column only, whatever its name, hence the check.

    Raises:
        ModelError: the column is another one, or holds something that is not text.
    """
    column = model_input.columns[0]
    if column not in ("text", 0, "0"):
        raise ModelError(
            f"a model needs a list of texts or a frame whose first column is text, found {column!r} first: "
            "pass frame[['text']]"
        )
    texts = model_input[column].astype(object)
    texts = texts.where(texts.notna(), "").tolist()
    if other := next((type(text).__name__ for text in texts if not isinstance(text, str)), None):
        raise ModelError(f"a model needs texts, found a value of type {other}: pass one string a row")
    return texts
