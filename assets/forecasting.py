"""What a training would do, before anyone trains: what is new, what it should gain, how long it takes."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assets.resources import Loop
from assets.training import PACE_TAG, START_TAG, freeze, is_cold_due, open_champion
from labeling import tables as t
from labeling.taxonomy import Task
from training.recipe import Recipe
from training.registry.registry import registered_name

if TYPE_CHECKING:
    from training.forecast import Forecast
    from training.training_set import TrainingSet


@dataclass(frozen=True)
class Outlook:
    """What a training of one task would do.

    ``new`` counts the labels that the champion does not know, by label; all of them where there is no champion.
    ``expected`` is what they should gain; ``minutes`` (the middle one, the fastest, the slowest) come from earlier
    trainings of this start on this home, None where there was none. ``champion`` is empty where there is none.
    """

    labels: int
    new: Mapping[str, int]
    champion: str
    is_warm: bool
    expected: "Forecast"
    minutes: tuple[float, float, float] | None


def look_ahead(loop: Loop, task: Task, recipe: Recipe, *, from_scratch: bool = False) -> Outlook:
    """Forecast a training of ``task`` with ``recipe``; stores nothing but features of texts.

    Raises:
        TooFewLabels: there are not two labels that can be trained on.
    """
    from training.candidate import COLD, would_start_warm
    from training.finetune import WARM, plan_texts
    from training.forecast import forecast_minutes

    registry, name = loop.open_registry(), registered_name(task.name)
    frozen = freeze(loop, task, dev_share=recipe.dev_share)
    live = registry.alias(name, "champion")
    champion = open_champion(loop, registry, task, live) if live else None
    known = champion.known if champion else frozenset()
    is_new = np.array([pair not in known for pair in frozen.rows.select("text_digest", "label").iter_rows()])
    is_cold = from_scratch or is_cold_due(registry, task, recipe)
    is_warm = champion is not None and not is_cold and would_start_warm(champion, frozen, recipe)
    sizes = dict(frozen.rows.group_by("split").len().iter_rows())
    count = int(is_new.sum())
    texts = plan_texts(recipe, train=sizes["train"], dev=sizes.get("dev", 0), new=count if is_warm else None)
    start = WARM if is_warm else COLD
    alike = [one.tags for one in registry.versions(name) if one.tags.get(START_TAG, COLD) == start]
    paces = [float(tags[PACE_TAG]) for tags in alike if PACE_TAG in tags]
    return Outlook(
        labels=frozen.rows.height,
        new=Counter(frozen.rows.filter(is_new)["label"].to_list()),
        champion=live or "",
        is_warm=is_warm,
        expected=_expect(loop, frozen, recipe, new=count),
        minutes=forecast_minutes(texts, paces),
    )


def _expect(loop: Loop, frozen: "TrainingSet", recipe: Recipe, *, new: int) -> "Forecast":
    """Return what the ``new`` labels should gain over the others, by a learning curve on frozen features."""
    from training.encoder import load_encoder
    from training.features import cached_features
    from training.forecast import forecast_gain, measure_curve

    texts = loop.tables.read(t.INTERACTIONS, columns=["interaction_id", "text"])
    rows = frozen.rows.join(texts, on="interaction_id", how="inner").sort("interaction_id")
    features = cached_features(
        rows["text"].to_list(), encoder=load_encoder(recipe.encoder), tables=loop.tables, key=loop.folder.key()
    )
    targets = rows["label"].rank("dense").to_numpy().astype(np.int64) - 1
    groups = rows["group_digest"].rank("dense").to_numpy().astype(np.int64)
    is_dev = (rows["split"] == "dev").to_numpy()
    points = measure_curve(features, targets, is_dev, groups=groups)
    now = rows.height - new
    return forecast_gain(points, now=now, new=new, dev_rows=int(is_dev.sum()), rng=np.random.default_rng(0))
