"""Cases go to the desk and come off it: in two phases, so that a stop at any instant neither loses nor doubles one.

REVIEW_TASKS says of each case that it is *sending* before the desk hears of it, and that it was *sent* after. What is
found sending was stopped in between: its key is looked up at the desk before it is sent again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from labeling import tables as t
from labeling.delta import Tables
from labeling.desk.asking import count_answers, find_unasked
from labeling.desk.desk import Case, ReviewDesk
from labeling.taxonomy import Taxonomy

SENDING: Final = "sending"
SENT: Final = "sent"
WITHDRAWN: Final = "withdrawn"
"""The states of a case in REVIEW_TASKS."""

IS_SENT: Final = pl.col("state").fill_null(SENT) == SENT
_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True)
class Dispatch:
    """What keeps REVIEW_TASKS and the desk in step; ``project`` is the desk's project, which is open."""

    tables: Tables
    desk: ReviewDesk
    project: str
    now: datetime

    def recount(self) -> int:
        """Compare the desk with what was sent, and note what was deleted there; return how many cases go again.

        Reads the desk case by case only where the numbers differ: somebody deleted a case, or one came twice because
        a server carried out an import long after it had failed for us.
        """
        sent = self._read(IS_SENT)
        if sent.height == self.desk.count_cases():
            return 0
        here = self.desk.list_cases()
        lost = sent.filter(~pl.col("case_id").is_in(sorted(here)))
        place = pl.col("case_id").replace_strict(here, default=None, return_dtype=pl.String)
        moved = sent.with_columns(place=place).filter(pl.col("place") != pl.col("desk_task_id"))
        answered = lost.join(self._answered(), on="case_id", how="semi")
        again = lost.join(answered, on="case_id", how="anti")
        elsewhere = moved.with_columns(desk_task_id="place").drop("place")
        self._note(pl.concat([_in_state(answered, WITHDRAWN), _in_state(again, SENDING), elsewhere]))
        return again.height

    def withdraw(self, stale: Sequence[str]) -> int:
        """Take ``stale`` cases off the desk that nobody answered, and never send the others; return how many."""
        known = self.tables.read(t.REVIEW_TASKS, where=pl.col("case_id").is_in(list(stale)))
        here = known.filter(pl.col("project_id") == self.project)["case_id"].to_list()
        kept = self.desk.withdraw(here) if here else set()
        queued = self.tables.read(t.REVIEW_QUEUE, where=pl.col("case_id").is_in(list(stale)))
        unsent = queued.join(known, on="case_id", how="anti").select("case_id", "interaction_id")
        rows = pl.concat([known, unsent], how="diagonal").filter(~pl.col("case_id").is_in(sorted(kept)))
        self._note(_in_state(rows, WITHDRAWN))
        return rows.height

    def ask_again(self, taxonomy: Taxonomy) -> int:
        """Ask for as many answers as each case needs by now; return how many cases go to a third person."""
        reviews = taxonomy.translate(self.tables.read(t.REVIEWS))
        counts = count_answers(reviews, tasks=taxonomy.task_names)
        changed = find_unasked(self._read(IS_SENT), self.tables.read(t.REVIEW_QUEUE), counts)
        if changed.is_empty():
            return 0
        self.desk.ask_again(dict(changed.select("case_id", "overlap").iter_rows()))
        self._note(changed)
        disputed = counts.filter(pl.col("is_disputed"))
        return changed.filter(pl.col("overlap") > 2).join(disputed, on="case_id", how="semi").height

    def send(self, cases: Sequence[Case]) -> int:
        """Send ``cases``, each for one answer to begin with; return how many."""
        if not cases:
            return 0
        first = [replace(case, overlap=1) for case in cases]
        rows = t.REVIEW_TASKS.frame(
            [
                {
                    "case_id": case.case_id,
                    "interaction_id": case.interaction_id,
                    "project_id": self.project,
                    "sent_at": self.now,
                    "state": SENDING,
                    "overlap": case.overlap,
                }
                for case in first
            ]
        )
        self._note(rows)
        places = {done.case_id: done.desk_task_id for done in self.desk.send(first)}
        self._note(_in_state(rows, SENT).with_columns(desk_task_id=pl.col("case_id").replace_strict(places)))
        return len(first)

    def _read(self, where: pl.Expr) -> pl.DataFrame:
        return self.tables.read(t.REVIEW_TASKS, where=(pl.col("project_id") == self.project) & where)

    def _answered(self) -> pl.DataFrame:
        return self.tables.read(t.REVIEWS, columns=["case_id"], where=pl.col("label").is_not_null()).drop_nulls()

    def _note(self, rows: pl.DataFrame) -> None:
        """Store ``rows``; each is newer than what stands there, also where the clock stood still or went back."""
        if rows.is_empty():
            return
        before = self.tables.read(
            t.REVIEW_TASKS,
            columns=["case_id", "changed_at"],
            where=pl.col("case_id").is_in(rows["case_id"].to_list()),
        ).rename({"changed_at": "before"})
        changed_at = pl.max_horizontal(pl.lit(self.now).cast(t.TIME), pl.col("before") + _TICK)
        dated = rows.join(before, on="case_id", how="left").with_columns(changed_at=changed_at)
        self.tables.merge(t.REVIEW_TASKS, pl.concat([t.REVIEW_TASKS.empty(), dated.drop("before")], how="diagonal"))


def _in_state(rows: pl.DataFrame, state: str) -> pl.DataFrame:
    return rows.with_columns(state=pl.lit(state))
