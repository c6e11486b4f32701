"""``cxloop review``: cases out to people, their answers back, and where that stands."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.commands.options import HomeOption, open_home

if TYPE_CHECKING:
    from datetime import datetime

    from labeling.desk.standing import ReviewStanding
    from labeling.home import Home

_HELP = (
    "Send cases to the people who label, fetch their answers, and see how that goes. The hourly job does both; these "
    "commands do one half of it now. `cxloop run review` does all of it."
)
_LABEL = "`cxloop up` serves the page; `cxloop review status` shows its address, and the link that invites people"

app = typer.Typer(help=_HELP, no_args_is_help=True)


@app.callback()
def review() -> None:
    """Send cases to the people who label, fetch their answers, and see how that goes."""


@app.command()
def send(home: HomeOption = None) -> None:
    """Choose the next cases by configs/selection.yaml and put them on the desk.

    Cases that the champion of before had chosen and nobody has answered come off it; a case on which two people
    disagree is asked of a third. Stop it at any point and run it again: no case is lost, none comes twice.
    """
    from pipelines.commands.run import run_here
    from pipelines.terminal import say, say_next

    folder = open_home(home)
    with _label_studio(folder):
        made = run_here("send", folder)
    sent = made["review_tasks"]
    say(
        f"{sent['sent']} cases were sent, {sent.get('withdrawn', 0)} came off the desk, "
        f"{sent.get('third_opinions', 0)} go to a third person; {sent['waiting']} wait for an answer."
    )
    say_next(_LABEL, "`cxloop review fetch` brings the answers")


@app.command()
def fetch(home: HomeOption = None) -> None:
    """Fetch what people answered, changed or deleted since the last time, and settle it to labels.

    Answers with a label that the taxonomy does not know are refused and counted, the rest of them is taken. Stop it at
    any point and run it again: no answer is lost, none counts twice.
    """
    from pipelines.commands.run import run_here
    from pipelines.terminal import say, say_next

    folder = open_home(home)
    with _label_studio(folder):
        made = run_here("fetch", folder)
    came, settled = made["reviews"], made.get("labels", {})
    say(
        f"{came.get('answers', 0)} new rows of answers, {came.get('amended', 0)} changed, {came.get('skipped', 0)} "
        f"skips, {came.get('refused', 0)} labels refused, {came.get('withdrawn', 0)} answers deleted at the desk."
    )
    say(f"Labels: {settled.get('new', 0)} new, {settled.get('changed', 0)} changed.")
    say_next("`cxloop review send` chooses the next cases", "`cxloop run retrain` where enough labels have settled")


@app.command()
def report(
    agent: Annotated[str, typer.Option(help="What became of the corrections of this agent, by their id.")] = "",
    home: HomeOption = None,
) -> None:
    """Write the page on the quality of the labels, or one for an agent: what became of their corrections.

    For reviewers: agreement, labels that people mix up, likely errors, each annotator's figures. For an agent: which of
    their corrections others confirmed, and what the models learnt from them. The pages lie in the home, readable by its
    owner alone.
    """
    from assets.agent_report import write_agent_report
    from assets.label_quality import write_report
    from assets.resources import Loop
    from pipelines.terminal import say, say_next

    loop = Loop(home=str(open_home(home).path))
    say(f"Page       {write_agent_report(loop, agent_id=agent) if agent else write_report(loop)[2]}")
    say_next("open it in a browser", "`cxloop review status` shows what waits")


@app.command()
def status(home: HomeOption = None) -> None:
    """Show what waits and why, how old it is, who answers how much, and where to label.

    Counts what was fetched so far. Nobody is stopped at the cap: it is what one person can be asked for in a day, and
    the day's budget follows from it.
    """
    from datetime import UTC, datetime

    from assets.settings import load_settings
    from labeling.desk.standing import read_standing
    from pipelines.terminal import say_next

    folder, now = open_home(home), datetime.now(UTC)
    settings = load_settings(folder.configs)
    standing = read_standing(folder.tables, now=now)
    _show_waiting(standing, now)
    _show_answers(standing, settings.selection.cap_per_person)
    served = _show_page(folder, settings)
    steps = ["`cxloop review fetch` brings what was answered since", "`cxloop review send` chooses the next cases"]
    say_next(*(steps if served else [_LABEL, *steps]))


@contextmanager
def _label_studio(home: "Home") -> Iterator[None]:
    """Keep a Label Studio running over ``home``, where the settings place none elsewhere."""
    from assets.settings import load_settings
    from pipelines.services import embedded_label_studio
    from pipelines.terminal import console

    if load_settings(home.configs).services.label_studio.url:
        yield
        return
    with ExitStack() as running:
        with console(stderr=True).status("starting Label Studio") as shown:
            running.enter_context(embedded_label_studio(home, port=None, tell=shown.update))
        yield


def _show_waiting(standing: "ReviewStanding", now: "datetime") -> None:
    from pipelines.terminal import say, say_table

    total = sum(standing.waiting.values())
    if total:
        rows = [(reason, str(count)) for reason, count in standing.waiting.items()]
        say_table(f"{total} cases wait for an answer", ("reason", "cases"), rows)
    else:
        say("No case waits for an answer.")
    if standing.oldest_at:
        say(f"Oldest     sent {(now - standing.oldest_at).total_seconds() / 3600:,.1f} h ago")
    if standing.unsent:
        say(f"Picked     {standing.unsent} cases that are not at the desk yet")


def _show_answers(standing: "ReviewStanding", cap: int) -> None:
    from pipelines.terminal import say, say_table

    days = ", ".join(f"{day:%a} {count}" for day, count in standing.by_day.items())
    say(f"Answers    {days} (UTC days, today last)")
    if standing.by_person:
        rows = [(person, f"{count} of {cap}") for person, count in standing.by_person.items()]
        say_table("Answered today", ("person", "cases"), rows)


def _show_page(home: "Home", settings: Any) -> bool:
    """Say where to label and how new people join; return whether a page is served."""
    from labeling.desk.server import find_server
    from labeling.errors import DeskError
    from pipelines.terminal import say

    url = settings.services.label_studio.url or find_server(home.label_studio)
    if not url:
        say("Page       none is served")
        return False
    try:
        project, invitation = _addresses(home, settings, url)
    except DeskError as error:
        say(f"Page       {url}: {error}")
        return True
    say(f"Page       {project}")
    say(f"Invite     {invitation}")
    return True


def _addresses(home: "Home", settings: Any, url: str) -> tuple[str, str]:
    """Return where people label, and the link by which new people join."""
    from assets.services import label_studio_desk
    from labeling.desk.label_studio_api import LabelStudioApi

    project = label_studio_desk(home, settings).open_project(settings.taxonomy)
    invitation = LabelStudioApi(url, home.secret("CXLOOP_LABEL_STUDIO_TOKEN")).read_invitation()
    return f"{url}/projects/{project}/data?labeling=1", invitation
