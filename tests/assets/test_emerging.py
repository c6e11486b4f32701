"""Candidate intents: found, followed, accepted into the taxonomy, dismissed."""

from datetime import timedelta

import dagster as dg
import polars as pl
import pytest

from assets.accepting import accept_candidate, dismiss_candidate
from assets.emerging import FOLDER, PAGE, emerging_intents, read_candidates
from assets.reports import drop_reports
from assets.resources import Loop
from labeling import tables as t
from labeling.config import load_config
from labeling.errors import ConfigError, DecisionRefused
from labeling.taxonomy import Label, Taxonomy
from labeling.vocabulary import NONE_OF_THESE
from tests.assets.conftest import NOW

PIZZA = [f"can you bring me a pizza with {topping}" for topping in ("ham", "cheese", "tuna", "olives", "egg", "corn")]
CHESS = [f"how does the {piece} move in a game of chess" for piece in ("king", "queen", "rook", "bishop", "knight")]
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "December")
PIZZA_LABEL = Label(name="order_pizza", title="Order a pizza")


@pytest.fixture
def asked(stocked):
    """Six messages that people put outside every label, five that the model did, one that people put inside."""
    for number, text in enumerate([*PIZZA, *CHESS, "my bill is too high"]):
        stocked.interactions(f"case-{number:02d}", text=text, occurred_at=NOW - timedelta(days=number))
    stocked.labels({f"case-{number:02d}": NONE_OF_THESE for number in range(6)} | {"case-11": "bill_higher"})
    said = [
        {"interaction_id": f"case-{number:02d}", "label": NONE_OF_THESE, "predicted_at": NOW} for number in range(4, 12)
    ]
    stocked.put(t.PREDICTIONS, *said, task="intent", model_version="1", confidence=0.9, shown=True)
    return stocked


def find(stocked):
    upstream = [dg.AssetSpec(name) for name in ("labels", "predictions")]
    done = dg.materialize(
        [*upstream, emerging_intents],
        resources={"loop": stocked.loop},
        instance=stocked.instance,
        selection=dg.AssetSelection.groups("monitoring"),
    )
    [made] = done.get_asset_materialization_events()
    return {name: found.value for name, found in made.materialization.metadata.items()}


def review(stocked, *names):
    rows = [
        {"review_id": f"r-{name}", "interaction_id": name, "answered_at": NOW - timedelta(days=1)} for name in names
    ]
    stocked.put(t.REVIEWS, *rows, task="intent", label=NONE_OF_THESE, annotator_id="ben")


def test_what_lies_together_is_offered_with_telling_words_and_followed(asked):
    found = find(asked)
    assert found["outside"] == 11
    assert [group["size"] for group in found["largest"]] == [6, 5]
    assert found["largest"][0]["most_typical"] in {f"case-{number:02d}" for number in range(6)}
    assert sum(found["largest"][0]["weeks"]) == 6
    pizza, chess = read_candidates(asked.loop)
    assert any("pizza" in word for word in pizza.words)
    assert any("chess" in word for word in chess.words)
    page = (asked.home.reports / FOLDER / PAGE).read_text()
    assert "can you bring me a pizza" in page
    assert f"accept {pizza.candidate_id}" in page
    assert "pizza" not in str(found)

    asked.interactions("case-20", text="can you bring me a pizza with salami", occurred_at=NOW)
    asked.labels({"case-20": NONE_OF_THESE})
    find(asked)
    again = read_candidates(asked.loop)
    assert [(one.candidate_id, one.size) for one in again] == [(pizza.candidate_id, 7), (chess.candidate_id, 5)]

    dismiss_candidate(asked.loop, chess.candidate_id, reviewer="ana")
    find(asked)
    assert [one.candidate_id for one in read_candidates(asked.loop)] == [pizza.candidate_id]
    with pytest.raises(DecisionRefused, match=f"those that wait are: {pizza.candidate_id}"):
        dismiss_candidate(asked.loop, chess.candidate_id, reviewer="ana")

    drop_reports(asked.home.reports)
    assert not (asked.home.reports / FOLDER).exists()


def test_unread_messages_far_from_all_that_is_labelled_are_offered_whatever_the_model_says(stocked):
    bills = [f"my bill of {month} is {much} too high" for month in MONTHS for much in ("far", "still", "again")]
    texts = [*bills, *(f"{bill}!" for bill in bills), *PIZZA, *CHESS]
    for number, text in enumerate(texts):
        stocked.interactions(f"case-{number:03d}", text=text)
    stocked.labels({f"case-{number:03d}": "bill_higher" for number in range(len(bills) + 18)})
    said = [{"interaction_id": f"case-{number:03d}", "label": "bill_higher"} for number in range(len(texts))]
    stocked.put(t.PREDICTIONS, *said, task="intent", model_version="1", confidence=0.9, shown=True)
    assert 11 <= find(stocked)["outside"] < 20
    shown = [{text for _, text in one.examples} for one in read_candidates(stocked.loop)]
    assert [examples <= set(texts) for examples, texts in zip(shown, (PIZZA, CHESS), strict=True)] == [True, True]


def test_an_accepted_candidate_is_a_label_and_what_said_otherwise_is_withdrawn(asked):
    review(asked, *(f"case-{number:02d}" for number in range(6)), "case-11")
    find(asked)
    [pizza, _] = read_candidates(asked.loop)
    done = accept_candidate(asked.loop, pizza.candidate_id, label=PIZZA_LABEL, reviewer="ana")
    assert (done.labelled, done.withdrawn) == (5, 6)
    taxonomy = load_config(asked.home.configs / "taxonomy.yaml", Taxonomy)
    assert taxonomy.task("intent").label_names[-1] == "order_pizza"
    assert taxonomy.version == done.version == 2
    standing = asked.tables.read(t.REVIEWS, where=pl.col("label").is_not_null())
    assert set(standing.filter(pl.col("label") == "order_pizza")["interaction_id"]) == {
        one for one, _ in pizza.examples
    }
    assert standing.filter(pl.col("label") == NONE_OF_THESE)["interaction_id"].to_list() == ["case-11"]
    find(asked)
    assert pizza.candidate_id not in {one.candidate_id for one in read_candidates(asked.loop)}


def test_a_killed_acceptance_goes_on_and_a_taken_name_is_refused(asked, monkeypatch):
    find(asked)
    [pizza, chess] = read_candidates(asked.loop)
    with monkeypatch.context() as patched:
        patched.setattr("assets.accepting._withdraw", _kill)
        with pytest.raises(KeyboardInterrupt):
            accept_candidate(asked.loop, pizza.candidate_id, label=PIZZA_LABEL, reviewer="ana")
    fresh = Loop(home=asked.loop.home, now_is=asked.loop.now_is, desk="fake")
    with pytest.raises(ConfigError, match="has a label order_pizza already"):
        accept_candidate(fresh, chess.candidate_id, label=PIZZA_LABEL, reviewer="ana")
    assert accept_candidate(fresh, pizza.candidate_id, label=PIZZA_LABEL, reviewer="ana").version == 2
    assert [one.candidate_id for one in read_candidates(fresh)] == [chess.candidate_id]


def _kill(*_):
    raise KeyboardInterrupt


def test_an_erased_message_leaves_its_candidate(asked):
    find(asked)
    gone = read_candidates(asked.loop)[0].examples[0][0]
    asked.tables.delete(t.INTERACTIONS, pl.col("interaction_id") == gone)
    assert gone not in {name for one in read_candidates(asked.loop) for name, _ in one.examples}
