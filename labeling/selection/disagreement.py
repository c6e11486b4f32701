"""Where two who should say the same do not: model and agent, champion and the one before it."""

import polars as pl

_PAIR = ["interaction_id", "task"]


def measure_disagreement(
    predictions: pl.DataFrame, corrections: pl.DataFrame, *, champion: str | None, previous: str | None
) -> pl.DataFrame:
    """Return how strongly each interaction is disputed.

    An agent's correction that the champion does not share counts as much as the champion is sure; where champion and
    previous champion differ, the less sure of the two.

    Args:
        predictions: ``interaction_id, task, label, confidence, model_version`` of PREDICTIONS.
        corrections: ``interaction_id, task, label`` of CORRECTIONS.
        champion: the live version; None disputes nothing.
        previous: the version before it, None where there was none.

    Returns:
        ``interaction_id, disagreement`` in [0, 1], the strongest dispute of each disputed interaction.
    """
    said = predictions.filter(pl.col("model_version") == (champion or ""))
    before = predictions.filter(pl.col("model_version") == (previous or ""))
    by_agent = _differing(said, corrections).select("interaction_id", disagreement="confidence")
    by_model = _differing(said, before).select(
        "interaction_id", disagreement=pl.min_horizontal("confidence", "confidence_other")
    )
    return pl.concat([by_agent, by_model]).group_by("interaction_id").agg(pl.col("disagreement").max())


def _differing(said: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    both = said.join(others, on=_PAIR, suffix="_other")
    return both.filter(pl.col("label") != pl.col("label_other"))
