"""A home with the packaged settings and an empty MLflow store, and rows to put into its tables."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from assets.resources import Loop
from labeling import tables as t
from labeling.home import Home
from pipelines.replay.stage import make_stage
from tests.small_encoder import small_recipes

NOW = datetime(2026, 3, 9, 9, tzinfo=UTC)


class StockedHome:
    """A home whose tables are filled row by row; columns that a call does not name take a plain value."""

    def __init__(self, folder, give_mlflow):
        self.home = Home(folder)
        give_mlflow(self.home)
        make_stage(self.home, seed=1, changes=small_recipes())
        self.tables = self.home.tables
        self.loop = Loop(home=str(folder), now_is=NOW.isoformat(), desk="fake")
        self.instance = dg.DagsterInstance.ephemeral()

    def copy(self, folder):
        """Return this home as it was copied to ``folder``."""
        made = object.__new__(type(self))
        made.home, made.instance = Home(folder), dg.DagsterInstance.ephemeral()
        made.tables = made.home.tables
        made.loop = Loop(home=str(folder), now_is=self.loop.now_is, desk="fake")
        return made

    def put(self, table, *rows, **common):
        plain = {name: NOW for name, kind in table.schema.items() if kind == t.TIME}
        self.tables.merge(table, table.frame([plain | common | row for row in rows]))

    def interactions(self, *names, lot="open", part=None, **common):
        rows = [{"interaction_id": name, "conversation_id": f"of-{name}", "text": f"text of {name}"} for name in names]
        self.put(t.INTERACTIONS, *(row | common for row in rows), turn=1, lot=lot, part=part)

    def labels(self, labels, *, task="intent", source="review"):
        rows = [{"interaction_id": name, "label": label} for name, label in labels.items()]
        self.put(t.LABELS, *rows, task=task, source=source, confidence=0.9, answer_ids=["r"])

    def make(self, *assets):
        """Materialize ``assets``; return each one's metadata by its name."""
        done = dg.materialize(list(assets), resources={"loop": self.loop}, instance=self.instance)
        made = [event.materialization for event in done.get_asset_materialization_events()]
        return {
            one.asset_key.to_user_string(): {name: value.value for name, value in one.metadata.items()} for one in made
        }


@pytest.fixture
def stocked(tmp_path, give_mlflow):
    return StockedHome(tmp_path / "home", give_mlflow)
