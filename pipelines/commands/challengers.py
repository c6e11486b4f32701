"""``cxloop challengers``: what waits for a person's decision."""

from typing import TYPE_CHECKING

from pipelines.commands.options import HomeOption, open_home

if TYPE_CHECKING:
    from training.registry.people import People
    from training.registry.standing import Standing


def challengers(home: HomeOption = None) -> None:
    """Show the challenger that waits, and releases on which judging could not tell."""
    from pipelines.deciding import SHORT, read_home
    from pipelines.terminal import say, say_next, say_table
    from training.registry.people import load_people

    folder = open_home(home)
    standing, people = read_home(folder), load_people(folder.configs)
    open_ones = [version for version in standing.judged if _is_open(version, standing)]
    if not open_ones:
        say("No release waits for a decision.")
        say_next("`cxloop run retrain` makes a challenger", "`cxloop history` shows every decision")
        return
    rows = [
        (
            version,
            _state(version, standing, people),
            standing.judged[version].body["champion"] or "none yet",
            f"{standing.judged[version].at:%Y-%m-%d %H:%M}",
            standing.judged[version].body["case_file"][:SHORT],
        )
        for version in open_ones
    ]
    say_table("Releases that wait", ("version", "state", "judged against", "judged (UTC)", "case file"), rows)
    waiting = standing.challenger or open_ones[-1]
    say_next(f"`cxloop compare {waiting}` shows what speaks for it", *_steps(standing, people))


def _is_open(version: str, standing: "Standing") -> bool:
    """Say whether ``version`` is the challenger, or was judged inconclusive against the champion of today."""
    if version == standing.challenger:
        return True
    judged = standing.judged[version].body
    is_current = judged["champion"] == standing.champion and version not in standing.decided
    return is_current and judged["verdict"] == "inconclusive"


def _state(version: str, standing: "Standing", people: "People") -> str:
    """Say what a release waits for, in a few words."""
    if version != standing.challenger:
        said = ["inconclusive"]
    elif standing.judged[version].body["champion"] != standing.champion:
        said = ["to be judged again: the champion is another"]
    else:
        by = [entry.body["reviewer"] for entry in standing.approvals]
        said = [f"approved by {', '.join(by)}, {people.required_approvals} needed" if by else "waits for a decision"]
    if asked := standing.asked.get(version):
        said.append(f"{asked.body['reviewer']} asked for more evidence")
    return "; ".join(said)


def _steps(standing: "Standing", people: "People") -> list[str]:
    if not people.reviewers:
        return ["`cxloop reviewers add NAME` lets somebody decide"]
    return [f"`cxloop promote {standing.challenger} --note WHY` approves it"] if standing.challenger else []
