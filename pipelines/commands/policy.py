"""``cxloop policy``: when a release steps aside, why, and what other settings would change."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import HomeOption, open_home

if TYPE_CHECKING:
    from pathlib import Path

    from assets.handoff_replay import Difference
    from assets.handoff_study import Study
    from assets.resources import Loop
    from serving.handoff.cases import Cases
    from serving.handoff.policy import HandoffPolicy
    from serving.reading import Reader
    from serving.release import Release
    from serving.triage import Triage

_HELP = "See when a release steps aside, why, and what other settings would change."
app = typer.Typer(help=_HELP, no_args_is_help=True)

VersionOption = Annotated[
    str, typer.Option("--version", help="The release whose models are asked.", show_default="the champion")
]


@app.callback()
def policy() -> None:
    """See when a release steps aside, why, and what other settings would change."""


@app.command()
def fit(version: VersionOption = "", home: HomeOption = None) -> None:
    """Fit handoff.yaml to a release's models, as the next release would be, and write a page on what it comes to.

    Nothing that is live changes: a policy takes effect with the release that it was fitted for, after its gates and a
    person's approval.
    """
    from assets.handoff import fit_release_handoff, read_reviewed
    from assets.handoff_page import PAGE, write_page
    from assets.handoff_study import study_policy
    from pipelines.terminal import say, say_next

    loop, name, release = _open(home, version)
    fitted = fit_release_handoff(loop, release.folders)
    cases = read_reviewed(loop, _reader(release), loop.settings.handoff, release.tasks, part="calibrate")
    study = study_policy(fitted, cases)
    page = loop.folder.reports / PAGE
    write_page(study, page, title=f"When release {name} would step aside", made_at=loop.now())
    say(fitted.tell(), style="bold")
    say(f"Release {name} as it is: {release.about.handoff.tell()}")
    _tell_study(study)
    say(f"Page with the risk-coverage curve, intent by intent: {page}")
    say_next(
        "`cxloop policy replay` shows what this would have changed in the last week",
        "`cxloop run retrain` builds the release that would decide so, and judges it",
    )


@app.command()
def explain(
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="What the customer said, turn by turn.")],
    version: VersionOption = "",
    home: HomeOption = None,
) -> None:
    """Show what a release would do with a message, or a conversation of several turns, and which signals made it."""
    from pipelines.terminal import say, say_table
    from serving.conversation import CUSTOMER, Conversation, Turn
    from serving.handoff.policy import HandoffPolicy
    from serving.triage import triage

    _, name, release = _open(home, version)
    conversation = Conversation(tuple(Turn(CUSTOMER, text) for text in texts))
    [found] = triage(release, [conversation])
    for task, answer in found.answers.items():
        others = ", ".join(f"{label} {sure:.0%}" for label, sure in answer.alternatives[1:])
        say(f"{task}: {answer.label} ({answer.confidence:.0%}{'; then ' + others if others else ''})")
    say(_tell_decision(found, name), style="bold")
    for reason in found.reasons:
        say(f"  {reason.code}: {reason.why}")
    fitted = release.about.handoff
    if isinstance(fitted, HandoffPolicy):
        cases = release.read([conversation]).cases
        say_table("What each signal adds to the usual log odds of a wrong answer", *_list_signals(fitted, cases))


@app.command()
def replay(
    days: Annotated[float, typer.Option(min=0.01, help="How many days back.")] = 7.0,
    version: VersionOption = "",
    home: HomeOption = None,
) -> None:
    """Show what handoff.yaml as it is now would have changed of what a release decided lately, with 95% intervals."""
    import numpy as np

    from assets.handoff import fit_release_handoff, read_reviewed
    from assets.handoff_replay import compare_policies, read_recent, since_days
    from pipelines.terminal import say, say_next

    loop, name, release = _open(home, version)
    fitted, reader = fit_release_handoff(loop, release.folders), _reader(release)
    rng = np.random.default_rng(0)
    recent, messages = read_recent(loop, reader, fitted, since=since_days(loop, days), rng=rng)
    if not messages:
        say(f"No message came in the last {days:g} days.")
        return
    reviewed = read_reviewed(loop, reader, loop.settings.handoff, release.tasks, part="estimate")
    found = compare_policies(fitted, release.about.handoff, recent, messages, reviewed)
    say(
        f"This policy instead of release {name}'s, over the {messages} messages of the last {days:g} days: "
        f"{_count(found.handoffs, 'handoffs', 'more', 'fewer')}, an estimated "
        f"{_count(found.wrong, 'wrong answers', 'fewer', 'more')}.",
        style="bold",
    )
    rests = (
        f"corrected by {found.reviewed} reviewed estimate cases"
        if found.reviewed
        else "by its own risks alone: too few estimate cases are reviewed to correct them"
    )
    drawn = f" {found.read} messages were drawn and scaled up." if found.read < messages else ""
    say(f"Wrong answers are estimated {rests}; in brackets what another such time would bring (95%).{drawn}")
    say_next("`cxloop policy fit` shows where its threshold sits", "`cxloop run retrain` builds a release with it")


def _open(home: "Path | None", version: str) -> "tuple[Loop, str, Release]":
    """Return the home's loop, the version that is asked for (else the champion), and that release."""
    from assets.resources import Loop
    from labeling.errors import DecisionRefused
    from serving.release import Release
    from training.registry.registry import RELEASE

    loop = Loop(home=str(open_home(home).path))
    registry = loop.open_registry()
    name = version or registry.alias(RELEASE, "champion")
    if name is None:
        raise DecisionRefused(
            "a champion is needed, there is none yet: name a release with --version, or approve a first one"
        )
    return loop, name, Release.load(registry.download(RELEASE, name), loop.settings.taxonomy)


def _reader(release: "Release") -> "Reader":
    from serving.reading import Reader

    return Reader(release.scorers, release.taxonomy)


def _tell_study(study: "Study") -> None:
    from pipelines.terminal import say, say_table

    promise = study.policy.promise
    if promise.threshold is not None and promise.error_bound is not None:
        say(
            f"Shown on {promise.cases} calibrate cases: {promise.kept} kept, {promise.wrong} of these wrong, "
            f"at most {promise.error_bound:.1%} with {promise.confidence:.0%} confidence."
        )
    rows = [
        [
            name,
            "of its own" if one.own else "none of its own",
            str(one.cases),
            str(one.kept),
            str(one.wrong),
        ]
        for name, one in study.groups.items()
    ]
    if rows:
        say_table("Groups", ["group", "guarantee", "cases", "kept", "wrong of these"], rows)


def _tell_decision(found: "Triage", name: str) -> str:
    limit = "nothing is kept" if found.threshold is None else f"kept up to {found.threshold:.1%}"
    does = "hands off" if found.handoff else "answers itself"
    return f"Release {name} {does}: the answer would be wrong with a chance of {found.risk:.1%}; {limit}."


def _list_signals(fitted: "HandoffPolicy", cases: "Cases") -> tuple[list[str], list[list[str]]]:
    from serving.handoff.signals import SIGNALS, measure_signals

    values = measure_signals(cases, fitted.tasks, fitted.sets).values[0]
    added = fitted.explain_risk(cases)[0]
    rows = [
        [name.replace("_", " "), f"{value:.2f}", f"{usual:.2f}", f"{more:+.2f}"]
        for name, value, usual, more in zip(SIGNALS, values, fitted.risk.usual, added, strict=True)
    ]
    return ["signal", "here", "usually", "adds"], rows


def _count(difference: "Difference", what: str, up: str, down: str) -> str:
    """Say "212 handoffs more (180 to 240)"; a negative difference turns the word."""
    value, low, high = (round(one) for one in (difference.value, difference.low, difference.high))
    if value < 0:
        return f"{-value} {what} {down} ({-high} to {-low})"
    return f"{value} {what} {up} ({low} to {high})"
