"""Late, repeated, out-of-order and amended events: any order of arrival gives the same tables."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.home import Home
from labeling.sources.intake import Intake
from labeling.sources.parking import PARKABLE, join_parked
from labeling.sources.records import read_records
from labeling.sources.source import SourcesConfig
from labeling.tables import CORRECTIONS, INTERACTIONS, PARKED, PREDICTIONS
from tests.labeling.sources.test_collect import NOW, make_house

SAID = {"task": "intent", "columns": {"label": "bot", "confidence": "sure", "model_version": {"constant": "old"}}}
OWN = {column: column for column in ("interaction_id", "conversation_id", "turn", "occurred_at", "updated_at", "text")}
MAPS = {
    "interactions": {"table": "interactions", "columns": {**OWN, "handled_by": "handled_by"}, "predictions": [SAID]},
    "corrections": {"table": "corrections"},
}
DESCRIBED = [{"name": table, "kind": "files", "path": table, "maps": [said]} for table, said in MAPS.items()]
SOURCES = SourcesConfig.model_validate({"schema_version": 2, "sources": DESCRIBED})


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("CXLOOP_KEY", "key of the tests")


def message(number: int, version: int, text: str, *, moved: int = 0) -> tuple[str, dict]:
    """Return one version of a message; ``moved`` amends when it is said to have come, by weeks."""
    at = NOW - timedelta(days=10 + 7 * moved)
    changed = NOW - timedelta(days=5) + timedelta(hours=version)
    return "interactions", {
        "interaction_id": f"i{number}",
        "conversation_id": f"c{number}",
        "turn": 0,
        "occurred_at": at.isoformat(),
        "updated_at": changed.isoformat(),
        "text": text,
        "handled_by": "ai",
        "bot": "refund",
        "sure": 0.5,
    }


def correction(number: int, version: int, label: str) -> tuple[str, dict]:
    changed = NOW - timedelta(days=3) + timedelta(hours=version)
    known = {"correction_id": f"k{number}", "interaction_id": f"i{number}", "task": "intent", "label": label}
    return "corrections", known | {"agent_id": "a", "corrected_at": changed.isoformat()}


versions = st.integers(0, 2)
numbers = st.integers(0, 3)
events = st.lists(
    st.one_of(
        st.builds(message, numbers, versions, st.sampled_from(["one", "two"]), moved=st.integers(0, 2)),
        st.builds(correction, numbers, versions, st.sampled_from(["refund", "delivery"])),
    ),
    min_size=1,
    max_size=14,
)


def play(arriving: list[list[tuple[str, dict]]]) -> dict[str, list[dict]]:
    """Return the tables after batches of events arrived one after the other."""
    with TemporaryDirectory() as folder:
        home = Home(Path(folder))
        house = make_house(home)
        for batch in arriving:
            for source in SOURCES.sources:
                records = [event for table, event in batch if table == source.name]
                made = Intake(source, house).take(read_records(records, paths=source.paths, origin="o"))
                for table, rows in made:
                    home.tables.merge(table, rows)
            for table in PARKABLE:
                join_parked(home.tables, table, key=house.key, now=NOW, days=14)
        known = {table: table.schema for table in (INTERACTIONS, CORRECTIONS, PREDICTIONS, PARKED)}
        hidden = {"position", "origin", "source", "parked_at"}
        return {
            table.name: home.tables.read(table, columns=[column for column in schema if column not in hidden])
            .sort(table.key)
            .to_dicts()
            for table, schema in known.items()
        }


@settings(max_examples=25, deadline=None, derandomize=True)
@given(events, st.randoms(use_true_random=False), st.integers(1, 4))
def test_any_order_in_any_number_of_parts_gives_the_same_tables(arriving, chance, parts):
    expected = play([arriving])
    shuffled = [*arriving, *chance.sample(arriving, k=len(arriving) // 3)]
    chance.shuffle(shuffled)
    assert play([shuffled[part::parts] for part in range(parts)]) == expected
