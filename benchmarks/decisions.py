"""Does a decision that is killed, or two decisions at once, leave a champion that nobody decided on?

Protocol, fixed before the run. A real MLflow store (SQLite) and a real ledger, on which release 1 is the champion and
release 2 registered; the releases have no models, because no model is asked. One *play* is what people and jobs do, by
the same functions: release 2 is judged (a case file is written) and named challenger, a reviewer with a token approves
it, then takes it back. It runs in a process of its own, forked once everything is imported. Undisturbed twice; the
longer of the two durations is D.

200 kills: a fresh copy of the store, an instant drawn uniformly over [0, D] from the play's beginning, `SIGKILL`, a
look, one plain rerun of the play, a look. A play that ends before its instant was not killed: the instant is drawn
again, and counted. Right after the kill the ledger must verify against the anchors on the versions, and a release may
carry the alias champion only where the ledger holds the decision that made it so. After the rerun, beside that: each
decision and the naming stand once, the aliases of the release and of its member are what the ledger says, and a
reconciliation finds nothing to do.

50 races: two reviewers decide at once, in two processes that wait for each other, on a fresh copy: by turns both
approve, one approves and one rejects, both take the champion back. One must win, the other must be told so by name or
by the champion that stands now; then the same must hold as after a rerun.

The figures are the numbers of kills and of races in which all of this holds, scaled to 200 and 50, with Clopper and
Pearson's intervals (95%).

    python -m benchmarks.decisions --kills 200 --races 50
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy import stats

from benchmarks.harness.results import Figure, SeedResults, write_result
from labeling.errors import CxloopError, DecisionRefused
from tests.training.registry.stage import NOW, PEOPLE, PROCESSES, TOKENS, Stage, add_release, decide, open_stage
from training.registry.decisions import reconcile
from training.registry.registry import ANCHOR_TAG, RELEASE
from training.registry.standing import CHALLENGER_NAMED, DECISION, read_standing

_SEED: Final = 23
_LONGEST: Final = 120.0
_MEMBER: Final = "cxloop-intent"
_RACES: Final = (("approve", "approve"), ("approve", "reject"), ("rollback", "rollback"))


def main() -> None:
    """Play what is missing of the kills and races, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="not needed here; every benchmark takes it")
    parser.add_argument("--kills", type=int, default=200, help="how many")
    parser.add_argument("--races", type=int, default=50, help="how many")
    chosen = parser.parse_args()
    kept = SeedResults("decisions", {"seed": _SEED})
    with tempfile.TemporaryDirectory(prefix="cxloop-decisions-") as folder:
        template = make_template(Path(folder) / "template")
        longest = max(undisturbed(template, Path(folder) / name) for name in ("first", "second"))
        print(f"undisturbed: {longest:.2f} s")
        outcomes: dict[str, list[dict[str, Any]]] = {"kill": [], "race": []}
        for arm, count in (("kill", chosen.kills), ("race", chosen.races)):
            for number in range(count):
                outcome = kept.find(number, arm)
                if outcome is None:
                    place = Path(folder) / f"{arm}-{number}"
                    is_kill = arm == "kill"
                    outcome = kill_once(template, place, number, longest) if is_kill else race(template, place, number)
                    kept.keep(number, arm, outcome)
                outcomes[arm].append(outcome)
                print(f"{arm} {number}: {outcome}")
    report(outcomes["kill"], outcomes["race"], longest)
    if chosen.kills >= 200 and chosen.races >= 50:
        kept.drop()


def make_template(folder: Path) -> Path:
    """Return the folder of a stage on which release 1 is the champion and release 2 registered."""
    stage = open_stage(folder)
    add_release(stage.registry)
    add_release(stage.registry)
    stage.promote("1")
    return folder


def undisturbed(template: Path, place: Path) -> float:
    """Play once; return how long it took, in seconds from its beginning."""
    stage = open_stage(Path(shutil.copytree(template, place)))
    exit_code, took = play_in_process(place)
    if faults := find_faults(stage, champion="1", is_over=True):
        raise SystemExit(f"the undisturbed play ended with code {exit_code} and {'; '.join(faults)}: no figure")
    return took


def kill_once(template: Path, place: Path, number: int, longest: float) -> dict[str, Any]:
    """Kill one play, look, play again, look; ``missed`` counts the instants at which it had already ended."""
    rng = np.random.default_rng([_SEED, number])
    missed = 0
    while True:
        shutil.copytree(template, place)
        at = float(rng.uniform(0, longest))
        exit_code, _ = play_in_process(place, kill_after=at)
        if exit_code != 0:
            break
        missed += 1
        shutil.rmtree(place)
    stage = open_stage(place)
    reached = [entry.kind for entry in stage.ledger.entries()][-1]
    faults = find_faults(stage, champion=None, is_over=False)
    exit_code, _ = play_in_process(place)
    faults += [] if exit_code == 0 else [f"the rerun ended with code {exit_code}"]
    faults += find_faults(stage, champion="1", is_over=True)
    shutil.rmtree(place)
    return {"at": round(at, 3), "reached": reached, "missed": missed, "faults": faults}


def race(template: Path, place: Path, number: int) -> dict[str, Any]:
    """Let two reviewers decide at once; return who won and what is wrong afterwards."""
    kinds = _RACES[number % len(_RACES)]
    stage = open_stage(Path(shutil.copytree(template, place)))
    stage.name("2")
    if kinds[0] == "rollback":
        stage.apply(decide("approve", "2"))
    gate, said = PROCESSES.Barrier(2), PROCESSES.Queue()
    racers = [
        PROCESSES.Process(target=_race, args=(place, kind, name, gate, said))
        for kind, name in zip(kinds, ("ana", "ben"), strict=True)
    ]
    for racer in racers:
        racer.start()
    told = dict(said.get(timeout=_LONGEST) for _ in racers)
    for racer in racers:
        racer.join(_LONGEST)
    winners = [name for name, outcome in told.items() if outcome == ""]
    faults = [] if len(winners) == 1 else [f"{len(winners)} decisions were applied"]
    faults += [f"the other was told {why}" for why in told.values() if why and not _is_telling(why, winners)]
    body = stage.ledger.entries(DECISION)[-1].body
    faults += find_faults(stage, champion=body["champion_after"], is_over=True)
    shutil.rmtree(place)
    return {"kinds": list(kinds), "winner": winners, "faults": faults}


def find_faults(stage: Stage, *, champion: str | None, is_over: bool) -> list[str]:
    """Return what is wrong with the stage; once all is over, also what was left undone or done twice."""
    faults = []
    entries = stage.ledger.entries()
    anchors = [known.tags[ANCHOR_TAG] for known in stage.registry.versions(RELEASE) if ANCHOR_TAG in known.tags]
    try:
        stage.ledger.verify(anchors)
    except CxloopError as error:
        faults.append(str(error))
    decided = {entry.body["champion_after"] for entry in entries if entry.kind == DECISION}
    found = stage.aliases().get("champion")
    if found not in decided:
        faults.append(f"version {found} is the champion without a decision")
    if is_over:
        faults += _find_undone(stage, champion)
    return faults


def _find_undone(stage: Stage, champion: str | None) -> list[str]:
    entries, standing = stage.ledger.entries(), read_standing(stage.ledger.entries())
    faults = [] if standing.champion == champion else [f"the champion is {standing.champion}, expected {champion}"]
    acts = [(entry.body["decision"], entry.body["version"]) for entry in entries if entry.kind == DECISION]
    named = [entry.body["version"] for entry in entries if entry.kind == CHALLENGER_NAMED]
    faults += [f"{each} stands more than once" for each in {*acts, *named} if (acts + named).count(each) > 1]
    for name, wanted in ((RELEASE, champion), (_MEMBER, standing.members(champion).get(_MEMBER))):
        if (aliases := stage.registry.aliases(name)) != {"champion": wanted}:
            faults.append(f"{name} has the aliases {aliases}, expected version {wanted} as the champion alone")
    return faults + reconcile(stage.ledger, stage.registry, now=NOW)


def play_in_process(place: Path, *, kill_after: float | None = None) -> tuple[int | None, float]:
    """Play in a forked process, killed ``kill_after`` seconds from its beginning; return its exit code and seconds."""
    ours, theirs = PROCESSES.Pipe()
    player = PROCESSES.Process(target=_play, args=(place, theirs))
    player.start()
    ours.recv()
    begun = time.monotonic()
    player.join(_LONGEST if kill_after is None else kill_after)
    took = time.monotonic() - begun
    player.kill()
    player.join()
    return player.exitcode, took


def _play(place: Path, parent: Any) -> None:
    """Judge and name release 2, approve it, take it back; what was done before is left as it is."""
    stage = open_stage(place)
    reviewer = PEOPLE.identify_token(TOKENS["ana"]).name
    parent.send("ready")
    acts = [
        lambda: stage.name("2"),
        lambda: stage.apply(decide("approve", "2", reviewer=reviewer)),
        lambda: stage.apply(decide("rollback", "2", reviewer=reviewer)),
    ]
    for act in acts:
        try:
            act()
        except DecisionRefused as error:
            if "has been decided on" not in str(error):
                raise


def _race(place: Path, kind: str, name: str, gate: Any, said: Any) -> None:
    stage = open_stage(place)
    stage.registry.versions(RELEASE)
    decision = decide(kind, "2", reviewer=PEOPLE.identify_token(TOKENS[name]).name)
    gate.wait(_LONGEST)
    try:
        stage.apply(decision)
        said.put((name, ""))
    except CxloopError as error:
        said.put((name, f"{type(error).__name__}: {error}"))


def _is_telling(why: str, winners: Sequence[str]) -> bool:
    """Say whether a refusal tells the loser what came first."""
    is_named = any(f"by {name} at" in why for name in winners)
    return why.startswith("DecisionRefused") and (is_named or "champion is" in why)


def report(kills: list[dict[str, Any]], races: list[dict[str, Any]], longest: float) -> None:
    """Write the figures and print them."""
    figures = {}
    for name, outcomes, whole in (("clean_kills", kills, 200), ("clean_races", races, 50)):
        clean = sum(not outcome["faults"] for outcome in outcomes)
        low, high = stats.binomtest(clean, len(outcomes)).proportion_ci(method="exact")
        share = clean / len(outcomes)
        figures[name] = Figure(whole * share, whole * low, whole * high, f"of {whole}", "higher", f"= {whole}")
        print(f"{name}: {clean} of {len(outcomes)} (goal all)")
    reached = [outcome["reached"] for outcome in kills]
    peers = {
        "kills": len(kills),
        "races": len(races),
        "drawn_again": sum(outcome["missed"] for outcome in kills),
        "undisturbed_seconds": longest,
        "last_entry_at_the_kill": {kind: reached.count(kind) for kind in sorted(set(reached))},
    }
    command = f"python -m benchmarks.decisions --kills {len(kills)} --races {len(races)}"
    write_result("decisions", command=command, seeds=[_SEED], figures=figures, peers=peers)


if __name__ == "__main__":
    main()
