"""The checks of a frozen training set: what would train wrong stops the training, what is merely odd is told."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import dagster as dg
import polars as pl

from assets.expectations import Rule, find_unmet
from assets.lineage import metadata_of
from assets.resources import Loop
from assets.sealed_test import release_used
from assets.training import LEFT_OUT
from labeling import tables as t
from labeling.errors import ModelError, RegistryError
from labeling.taxonomy import Task
from training.registry.registry import registered_name

FEW: Final = 5
"""A class with fewer training rows is told of; 20% of its rows may then be one wrong label."""
MAX_SHIFT: Final = 0.2
"""The largest population stability index between the class shares of this set and the champion's (Siddiqi, 2006, calls
0.1 to 0.25 a minor shift); told of only where chance does not explain it."""
_CHANCE: Final = 0.001
_NAMED: Final = 20
"""How many classes are named at most."""
_TOGETHER: Final = ("text_digest", "group_digest", "conversation_id", "customer_key")
_HARMLESS: Final = "text erased"


class Finding(NamedTuple):
    """What one check found: whether it passed, figures, and a sentence."""

    passed: bool
    figures: dict[str, Any]
    said: str


_CHECKS: Final = {
    "rows_sound": (True, "Each row has a label of the taxonomy, a weight in (0, 1] and a split, and stands once."),
    "splits_apart": (True, "No text, group of copies, conversation or customer stands in both train and dev."),
    "audit_stays_out": (True, "No interaction of the audit lot, nor of its conversations, stands in the training set."),
    "class_counts": (False, f"Each class has at least {FEW} training rows."),
    "labels_used": (False, "No settled label had to be left out for its text or its class."),
    "classes_as_champion": (False, "The classes have about the shares that they had when the champion was trained."),
}


def training_set_checks(task: Task) -> dg.AssetChecksDefinition:
    """Return the checks of ``{task}_training_set``, made in one step."""
    asset = f"{task.name}_training_set"

    @dg.multi_asset_check(
        name=f"{asset}_checks",
        specs=[
            dg.AssetCheckSpec(name, asset=asset, blocking=blocking, description=description)
            for name, (blocking, description) in _CHECKS.items()
        ],
    )
    def checks(context: dg.AssetCheckExecutionContext, loop: Loop) -> Iterator[dg.AssetCheckResult]:
        made = metadata_of(context.instance, asset)
        for name, found in _evaluate(loop, task, made).items():
            severity = dg.AssetCheckSeverity.ERROR if _CHECKS[name][0] else dg.AssetCheckSeverity.WARN
            yield dg.AssetCheckResult(
                check_name=name,
                passed=found.passed,
                severity=severity,
                metadata=found.figures,
                description=found.said,
            )

    return checks


def _evaluate(loop: Loop, task: Task, made: dict[str, Any]) -> dict[str, Finding]:
    frozen = str(made.get("training_set_id", ""))
    used = check_left_out(made.get(LEFT_OUT, {}))
    if not frozen:
        nothing = Finding(True, {}, "no training set yet")
        return dict.fromkeys(_CHECKS, nothing) | {"labels_used": used}
    rows = loop.tables.read(t.TRAINING_SETS, where=pl.col("training_set_id") == frozen)
    columns = ["interaction_id", "conversation_id", "customer_key", "occurred_at", "lot", "part"]
    about = release_used(loop.tables.read(t.INTERACTIONS, columns=columns), loop)
    return {
        "rows_sound": check_rows(rows, task),
        "splits_apart": check_splits(rows, about),
        "audit_stays_out": check_lots(rows, about),
        "class_counts": check_counts(rows, task),
        "labels_used": used,
        "classes_as_champion": _check_champion(loop, task, rows),
    }


def check_rows(rows: pl.DataFrame, task: Task) -> Finding:
    """Find rows that no model may learn from."""
    rules = [
        _between("weight", 0, 1, strict_min=True),
        Rule("", "", "expect_column_values_to_not_be_null", {"column": "weight"}),
        Rule("", "", "expect_column_values_to_be_in_set", {"column": "label", "value_set": list(task.trainable)}),
        Rule("", "", "expect_column_values_to_be_in_set", {"column": "split", "value_set": ["train", "dev"]}),
        Rule("", "", "expect_column_values_to_be_unique", {"column": "interaction_id"}),
    ]
    unsound = len({row for unmet in _unmet(rows, rules) for row in unmet})
    classes = rows.filter(pl.col("split") == "train")["label"].n_unique()
    said = f"{unsound} of {rows.height} rows are unsound; {classes} classes train, two or more must"
    return Finding(unsound == 0 and classes > 1, {"rows": rows.height, "unsound": unsound, "classes": classes}, said)


def check_splits(rows: pl.DataFrame, about: pl.DataFrame) -> Finding:
    """Find what stands on both sides: texts, groups, conversations and customers.

    Args:
        rows: of TRAINING_SETS, one set.
        about: of INTERACTIONS.
    """
    known, both = rows.join(about, on="interaction_id", how="left"), {}
    for column in _TOGETHER:
        keys = known.drop_nulls(column).group_by(column).agg(splits=pl.col("split").n_unique())
        both[column] = len(_unmet(keys, [_between("splits", 1, 1)])[0])
    said = ", ".join(f"{count} by {column}" for column, count in both.items() if count)
    return Finding(not any(both.values()), both, f"in train and dev: {said}" if said else "nothing stands in both")


def check_lots(rows: pl.DataFrame, about: pl.DataFrame) -> Finding:
    """Find rows of conversations that measure the models: the sealed test is part of the audit lot."""
    talk = pl.coalesce("conversation_id", "interaction_id")
    lots = about.with_columns(pl.col("lot").min().over(talk))  # "audit" comes before "open"
    known = rows.select("interaction_id").join(lots, on="interaction_id")
    [leaked] = _unmet(
        known, [Rule("", "", "expect_column_values_to_be_in_set", {"column": "lot", "value_set": ["open"]})]
    )
    figures = {"rows": rows.height, "of_the_audit_lot": len(leaked)}
    return Finding(not leaked, figures, f"{len(leaked)} rows are of the audit lot, which measures the models")


def check_counts(rows: pl.DataFrame, task: Task) -> Finding:
    """Find the classes that have few training rows, or none."""
    counts = rows.filter(pl.col("split") == "train").group_by("label").len("rows").sort("rows", "label")
    few = counts[_unmet(counts, [_between("rows", FEW, None)])[0]]
    absent = [name for name in task.trainable if name not in set(counts["label"])]
    named = ", ".join(f"{label} {count}" for label, count in few.head(_NAMED).iter_rows())
    said = f"{few.height} classes have fewer than {FEW} training rows ({named or 'none'}), {len(absent)} have none"
    figures = {"few": few.height, "single": few.filter(pl.col("rows") == 1).height, "absent": len(absent)}
    return Finding(few.is_empty(), figures, said)


def check_left_out(left_out: dict[str, int]) -> Finding:
    """Tell of settled labels that were not used; those of erased texts are told of and are no fault."""
    said = ", ".join(f"{count} ({reason})" for reason, count in left_out.items())
    amiss = sum(count for reason, count in left_out.items() if reason != _HARMLESS)
    return Finding(not amiss, {"left_out": amiss}, f"left out: {said}" if said else "every label was used")


def compare_classes(rows: pl.DataFrame, champions: pl.DataFrame) -> Finding:
    """Compare the class shares of two sets by the population stability index, and by Pearson's chi-squared test.

    Args:
        rows: of TRAINING_SETS, this set.
        champions: those of the champion's set, labels as they are called now.
    """
    import numpy as np
    from scipy.stats import chi2_contingency

    counts = [frame.group_by("label").len(name) for frame, name in ((rows, "now"), (champions, "then"))]
    both = counts[0].join(counts[1], on="label", how="full", coalesce=True).fill_null(0).sort("label")
    table = both.select("now", "then").to_numpy() + 0.5
    now, then = (table / table.sum(axis=0)).T
    shifts = (now - then) * np.log(now / then)
    index, chance = float(shifts.sum()), float(chi2_contingency(table).pvalue)  # pyright: ignore[reportAttributeAccessIssue]
    seen = pl.DataFrame({"shift": [index if chance < _CHANCE else 0.0]})
    [unmet] = _unmet(seen, [_between("shift", None, MAX_SHIFT)])
    most = ", ".join(both["label"].gather(np.argsort(-shifts)[:3].tolist()))
    said = f"population stability index {index:.2f}, at most {MAX_SHIFT} (chance alone: p = {chance:.2g}); most: {most}"
    return Finding(not unmet, {"stability_index": index, "p": chance}, said)


def _check_champion(loop: Loop, task: Task, rows: pl.DataFrame) -> Finding:
    from training.model_folder import load_description
    from training.registry.standing import read_standing

    standing = read_standing(loop.open_ledger().entries())
    version = standing.members(standing.champion).get(registered_name(task.name))
    if version is None:
        return Finding(True, {}, "no champion yet")
    try:
        folder = loop.open_registry().download(registered_name(task.name), version)
        learnt = load_description(folder).training_set_id
    except (RegistryError, ModelError) as error:
        return Finding(False, {}, f"cannot be compared: {error}")
    stored = loop.tables.read(t.TRAINING_SETS, where=pl.col("training_set_id") == learnt)
    champions = loop.settings.taxonomy.translate(stored).filter(pl.col("label").is_in(task.trainable))
    return compare_classes(rows, champions) if champions.height else Finding(True, {}, "the champion's set is unknown")


def _between(column: str, low: float | None, high: float | None, *, strict_min: bool = False) -> Rule:
    arguments = {"column": column, "min_value": low, "max_value": high, "strict_min": strict_min}
    return Rule("", "", "expect_column_values_to_be_between", arguments)


def _unmet(frame: pl.DataFrame, rules: list[Rule]) -> list[list[int]]:
    return find_unmet(frame, rules) if frame.height else [[] for _ in rules]
