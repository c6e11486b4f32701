"""``cxloop status``: what runs, who is champion, what waits."""

from typing import TYPE_CHECKING

from pipelines.commands.options import HomeOption, open_home

if TYPE_CHECKING:
    from labeling.home import Home
    from training.registry.ledger import Entry
    from training.registry.standing import Standing

_LAST_RUNS = 5
_DEAD_SHOWN = 5


def status(home: HomeOption = None) -> None:
    """Show what runs, which release is champion since when, how many cases wait, and the last runs."""
    from pipelines.terminal import say_next
    from training.registry.ledger import Ledger
    from training.registry.standing import read_standing

    folder = open_home(home)
    entries = Ledger(folder.ledger_path).entries()
    standing = read_standing(entries)
    _show_pages(folder)
    _show_releases(standing)
    waiting = _show_cases(folder)
    is_alarmed, dead = _show_alarm(entries), _show_notices(folder)
    _show_runs(folder)
    say_next(*_next_steps(standing, waiting, is_alarmed=is_alarmed, dead=dead))


def _show_pages(home: "Home") -> None:
    from pipelines.services import find_up
    from pipelines.terminal import say

    up = find_up(home)
    say(f"Home       {home.path}")
    if up is None:
        say("Pages      none are served")
        return
    for number, page in enumerate(up.pages):
        say(f"{'Pages' if number == 0 else '':<10} {page.name:<13} {page.url}")
    say(f"{'':<10} served since {up.since:%Y-%m-%d %H:%M} UTC by process {up.pid}")


def _show_releases(standing: "Standing") -> None:
    from pipelines.terminal import say

    if standing.champion and standing.champion_since:
        say(f"Champion   release {standing.champion} since {standing.champion_since:%Y-%m-%d %H:%M} UTC")
    else:
        say("Champion   none yet")
    say(f"Challenger {f'release {standing.challenger} waits for a decision' if standing.challenger else 'none'}")


def _show_cases(home: "Home") -> int:
    """Say how many cases wait for a person, and how many rows stand in quarantine; return the former."""
    import polars as pl

    from labeling import tables as t
    from pipelines.terminal import say

    queued = home.tables.read(t.REVIEW_QUEUE, columns=["interaction_id"])["interaction_id"]
    answered = home.tables.read(t.REVIEWS, columns=["interaction_id"], where=pl.col("label").is_not_null())
    read = answered["interaction_id"].unique()
    waiting = queued.filter(~queued.is_in(read.implode())).n_unique()
    say(f"Cases      {waiting} wait for a person, {queued.n_unique() - waiting} have been read")
    if quarantined := home.tables.read(t.QUARANTINE, columns=["quarantine_id"]).height:
        say(f"Quarantine {quarantined} rows: `cxloop quarantine list` says why")
    return waiting


def _show_alarm(entries: "list[Entry]") -> bool:
    """Say what stands in the registry otherwise than the ledger says; return whether there is any."""
    from pipelines.terminal import say
    from training.registry.alarm import read_alarm

    wrong = read_alarm(entries)
    for number, found in enumerate(wrong):
        say(f"{'Alarm' if number == 0 else '':<10} {found.where}: {found.told}", style="red")
    return bool(wrong)


def _show_notices(home: "Home") -> int:
    """Say which notices could not be delivered; return how many."""
    from pipelines.terminal import say
    from serving.outbox import read_dead

    dead = read_dead(home.tables)
    for number, row in enumerate(dead.tail(_DEAD_SHOWN).iter_rows(named=True)):
        told = f"{row['kind']} of ledger entry {row['entry']} to {row['channel']}: {row['fault']}"
        say(f"{'Dead' if number == 0 else '':<10} {told}, {row['attempts']} attempts", style="yellow")
    if dead.height > _DEAD_SHOWN:
        say(f"{'':<10} and {dead.height - _DEAD_SHOWN} older dead letters", style="yellow")
    return dead.height


def _show_runs(home: "Home") -> None:
    from assets.feedback import UNREAD
    from assets.lineage import metadata_of
    from labeling.tables import INTERACTIONS
    from pipelines.running import open_instance
    from pipelines.terminal import say, say_table

    with open_instance(home) as instance:
        records = instance.get_run_records(limit=_LAST_RUNS)
        unread = str(metadata_of(instance, INTERACTIONS.name).get(UNREAD, ""))
    for number, fault in enumerate(unread.splitlines()):
        say(f"{'Unread' if number == 0 else '':<10} {fault}", style="yellow")
    if not records:
        say("Runs       none yet")
        return
    rows = [
        (
            record.dagster_run.job_name.removesuffix("_job"),
            record.dagster_run.status.value.lower(),
            f"{record.create_timestamp:%Y-%m-%d %H:%M}",
            f"{record.end_time - record.start_time:.0f} s" if record.end_time and record.start_time else "",
        )
        for record in records
    ]
    say_table("Last runs (UTC)", ("job", "outcome", "asked for", "took"), rows)


def _next_steps(standing: "Standing", waiting: int, *, is_alarmed: bool, dead: int) -> list[str]:
    steps = []
    if is_alarmed:
        steps.append("`cxloop audit verify` checks the whole record, `cxloop run reconcile` puts the registry right")
    if dead:
        steps.append("`cxloop run notify` tries the dead letters again")
    if standing.challenger:
        steps.append(f"`cxloop compare {standing.challenger}` shows what speaks for the challenger")
    if waiting:
        steps.append("`cxloop up`, then label the waiting cases in Label Studio")
    return steps or ["`cxloop collect` takes in what is new at the sources"]
