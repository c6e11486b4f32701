from datetime import timedelta

import dagster as dg
import pytest

from assets.monitoring import drift, emerging_intents, production_accuracy
from labeling import tables as t
from labeling.vocabulary import NONE_OF_THESE
from tests.assets.conftest import NOW
from training.judging.production import MIN_CASES


@pytest.fixture
def told(stocked):
    """Return a function that materializes one asset and returns its metadata."""

    def make(asset):
        upstream = [dg.AssetSpec(name) for name in ("labels", "predictions")]
        done = dg.materialize(
            [*upstream, asset],
            resources={"loop": stocked.loop},
            instance=stocked.instance,
            selection=dg.AssetSelection.groups("monitoring"),
        )
        [made] = done.get_asset_materialization_events()
        return {name: found.value for name, found in made.materialization.metadata.items()}

    return make


def predict(stocked, said, *, task="intent", at=NOW):
    rows = [{"interaction_id": name, "label": label, "predicted_at": at} for name, label in said.items()]
    stocked.put(t.PREDICTIONS, *rows, task=task, model_version="1", confidence=0.9, margin=0.8, handoff=False)


def test_accuracy_as_served_is_told_once_there_are_enough_cases(stocked, told):
    names = [f"case-{number:03d}" for number in range(MIN_CASES)]
    stocked.interactions(*names, lot="audit", part="estimate")
    stocked.labels(dict.fromkeys(names[:-1], "refund"))
    predict(stocked, {name: "refund" if number % 2 else "billing" for number, name in enumerate(names)})
    assert told(production_accuracy)["intent"] == f"too few audit cases: {MIN_CASES - 1} of {MIN_CASES}"
    stocked.labels({names[-1]: "refund"})
    assert told(production_accuracy)["intent"] == "0.500 [0.431, 0.569] of 200 cases"


def test_drift_compares_the_last_seven_days_with_before(stocked, told):
    old, new = [f"old-{n}" for n in range(20)], [f"new-{n}" for n in range(20)]
    stocked.interactions(*old, occurred_at=NOW - timedelta(days=8))
    stocked.interactions(*new, occurred_at=NOW - timedelta(days=6))
    predict(
        stocked, dict.fromkeys(old, "refund") | dict.fromkeys(new[:10], "refund") | dict.fromkeys(new[10:], "billing")
    )
    found = told(drift)
    assert found["intent_distance"] == pytest.approx(0.5)
    assert found["intent_p_value"] < 0.01
    assert found["sentiment_distance"] == 0
    assert "sentiment_p_value" not in found


def test_messages_outside_every_label_are_grouped(stocked, told):
    pizza = [
        f"can you bring me a pizza with {topping}" for topping in ("ham", "cheese", "tuna", "olives", "egg", "corn")
    ]
    chess = [f"how does the {piece} move in a game of chess" for piece in ("king", "queen", "rook", "bishop", "knight")]
    for number, text in enumerate([*pizza, *chess, "my bill is too high"]):
        stocked.interactions(f"case-{number:02d}", text=text)
    stocked.labels({f"case-{number:02d}": NONE_OF_THESE for number in range(6)})
    predict(stocked, {f"case-{number:02d}": NONE_OF_THESE for number in range(4, 11)} | {"case-11": "bill_higher"})
    found = told(emerging_intents)
    assert found["outside"] == 11
    assert [group["size"] for group in found["largest"]] == [6, 5]
    assert found["largest"][0]["most_typical"] in {f"case-{number:02d}" for number in range(6)}
