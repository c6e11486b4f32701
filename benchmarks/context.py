"""Does the context package hold what an agent would have to ask for again, and are its similar cases similar?

Protocol, fixed before the run: docs/context.md, "How the summary is measured" (a fact asked for again, its words, the
handoff, recall, the peers, similar cases). `star`, all dialogues; those whose name's digest is odd are held out and
make the figures; settings were chosen on the others (`--development` prints theirs and writes nothing).

    python -m benchmarks.context --data ../shared/data

``--features`` names a folder that keeps features between runs.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness.results import Figure, write_result
from benchmarks.harness.star import Dialogue, embed_once, load_dialogues
from serving.context.exchanges import find_exchanges, find_terms
from serving.context.facts import find_facts
from serving.context.similar import describe
from serving.context.summary import summarise
from serving.conversation import CUSTOMER, Conversation

SEED: Final = 0
DRAWS: Final = 2000
LAST_TURNS: Final = 3
CUT: Final = 6
"""Similar cases are looked for by the turns before this one, of dialogues that go on for some more."""
LONG_ENOUGH: Final = 10
NEAREST: Final = 3
_BEATS: Final = "above the last three turns"


@dataclass(frozen=True)
class Fact:
    """What a customer had to say again: its words, the turn before which the handoff falls, and where it was told."""

    dialogue: Dialogue
    words: frozenset[str]
    turn: int
    told: int
    is_again: bool


def find_repeated(dialogue: Dialogue) -> Iterator[Fact]:
    """Yield the facts that the agent asks for although the customer has told them (docs/context.md)."""
    replies: dict[str, list[tuple[int, frozenset[str]]]] = {}
    for turn, fact in enumerate(dialogue.asked):
        if not fact or turn + 1 >= len(dialogue.turns) or dialogue.turns[turn + 1].role != CUSTOMER:
            continue
        said = frozenset(find_terms(dialogue.turns[turn + 1].text))
        for told, words in reversed(replies.get(fact, [])):
            if shared := words & said:
                yield Fact(dialogue, shared, turn, told, is_again=True)
                break
        else:
            earlier = [(place, _terms(dialogue, place) & said) for place in range(turn)]
            shared = [(place, words) for place, words in earlier if words]
            if shared:
                words = frozenset().union(*(words for _, words in shared))
                yield Fact(dialogue, words, turn, shared[-1][0], is_again=False)
        replies.setdefault(fact, []).append((turn + 1, said))


def _terms(dialogue: Dialogue, place: int) -> frozenset[str]:
    turn = dialogue.turns[place]
    return frozenset(find_terms(turn.text)) if turn.role == CUSTOMER else frozenset()


def tell_summary(conversation: Conversation) -> str:
    """Return our summary as plain text."""
    return " ".join(f"{line.question or ''} {line.text}" for line in summarise(conversation))


def tell_package(conversation: Conversation) -> str:
    """Return all that the package tells of what was said: summary, facts, what was asked and answered."""
    asked = [" ".join((one.question, *one.answers)) for one in find_exchanges(conversation)]
    facts = [one.value for one in find_facts(conversation)]
    return " ".join([tell_summary(conversation), *facts, *asked])


def tell_last_turns(conversation: Conversation) -> str:
    """Return the last three turns as they were said."""
    return " ".join(turn.text for turn in conversation.turns[-LAST_TURNS:])


def tell_as_many_words(conversation: Conversation) -> str:
    """Return as many of the last words as our summary takes."""
    words = " ".join(turn.text for turn in conversation.turns).split()
    return " ".join(words[-max(1, len(tell_summary(conversation).split())) :])


TELLERS: Final[dict[str, Callable[[Conversation], str]]] = {
    "summary": tell_summary,
    "package": tell_package,
    "last_three_turns": tell_last_turns,
    "last_words": tell_as_many_words,
}


def measure_facts(facts: Sequence[Fact]) -> dict[str, np.ndarray]:
    """Return for each teller whether each fact stands in what it tells, (n,), and how many words that takes, (n,)."""
    found: dict[str, np.ndarray] = {}
    for name, tell in TELLERS.items():
        told = [tell(fact.dialogue.before(fact.turn)) for fact in facts]
        found[name] = np.array(
            [fact.words <= set(find_terms(text)) for fact, text in zip(facts, told, strict=True)], dtype=float
        )
        found[f"{name}_words"] = np.array([len(text.split()) for text in told], dtype=float)
    return found


def bootstrap(values: np.ndarray, groups: Sequence[str], rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the mean and its 95% interval over draws of whole groups (dialogues)."""
    names, place = np.unique(groups, return_inverse=True)
    totals, sizes = np.bincount(place, values), np.bincount(place)
    drawn = rng.integers(len(names), size=(DRAWS, len(names)))
    means = totals[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def measure_similar(
    dialogues: Sequence[Dialogue], vectors: np.ndarray | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return what share of the three nearest have the same tasks, (n,), and of the needed facts they told, (n,).

    The second is not-a-number where the agent asked for nothing more. ``vectors`` (n, d) place the dialogues; None
    takes any three. No dialogue that shares a worker is taken.
    """
    right, needed = np.zeros(len(dialogues)), np.full(len(dialogues), np.nan)
    asked = [frozenset(fact for fact in one.asked[CUT:] if fact) for one in dialogues]
    for row, one in enumerate(dialogues):
        likeness = rng.random(len(dialogues)) if vectors is None else vectors @ vectors[row]
        apart = np.array([not (other.workers & one.workers) for other in dialogues])
        nearest = np.argsort(-np.where(apart, likeness, -np.inf), kind="stable")[:NEAREST]
        right[row] = np.mean([dialogues[place].task == one.task for place in nearest])
        if asked[row]:
            told = frozenset().union(*(asked[place] for place in nearest))
            needed[row] = len(asked[row] & told) / len(asked[row])
    return right, needed


def tell_similar(
    dialogues: Sequence[Dialogue], kept: Path | None
) -> tuple[dict[str, Figure], dict[str, dict[str, float]]]:
    """Return the figures and the peers of similar cases."""
    cut = [one.before(CUT) for one in dialogues]
    mine = [[text for text in one.customer_texts() if text.strip()] or [""] for one in cut]
    last = [tell_last_turns(one) for one in cut]
    known = embed_once([*(text for texts in mine for text in texts), *last], kept)
    ways = {
        "similar": np.stack([describe(texts, lambda part: np.stack([known[text] for text in part])) for texts in mine]),
        "last_three_turns": np.stack([known[text] for text in last]),
        "any_three": None,
    }
    names = [one.name for one in dialogues]
    found = {way: measure_similar(dialogues, vectors, np.random.default_rng(SEED)) for way, vectors in ways.items()}
    figures = {}
    for place, name in enumerate(("right", "needed_facts")):
        ours, theirs = found["similar"][place], found["last_three_turns"][place]
        told, rng = ~np.isnan(ours), np.random.default_rng(SEED)
        asking = [names[row] for row in np.flatnonzero(told)]
        figures[f"similar_{name}"] = Figure(*bootstrap(ours[told], asking, rng), "share", "higher", "")
        gain = bootstrap((ours - theirs)[told], asking, rng)
        figures[f"similar_{name}_over_last_three_turns"] = Figure(*gain, "share", "higher", "")
    peers = {
        way: {"dialogues": len(names), "right": float(right.mean()), "needed_facts": float(np.nanmean(needed))}
        for way, (right, needed) in found.items()
    }
    return figures, peers


def main() -> None:
    """Measure the held-out dialogues and write the figures; or show those of the others."""
    parser = argparse.ArgumentParser(description="recall of facts that an agent asks for again; similar cases")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--features", type=Path, default=None, help="a folder to keep the features in")
    parser.add_argument("--development", action="store_true", help="the other half, on the screen only")
    asked = parser.parse_args()
    dialogues = [one for one in load_dialogues(asked.data) if one.is_held_out != asked.development]
    figures, peers = tell_facts([fact for one in dialogues for fact in find_repeated(one)])
    long_enough = [one for one in dialogues if len(one.turns) >= LONG_ENOUGH]
    similar, theirs = tell_similar(long_enough, asked.features)
    figures |= similar
    peers["similar"] = theirs
    for name, figure in figures.items():
        print(f"{name}: {figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]")
    print(peers)
    if not asked.development:
        write_result("context", command="python -m benchmarks.context", seeds=[SEED], figures=figures, peers=peers)


def tell_facts(facts: Sequence[Fact]) -> tuple[dict[str, Figure], dict[str, Any]]:
    """Return the figures and the peers of the summary."""
    sets = {
        "again": [fact for fact in facts if fact.is_again],
        "again_far": [fact for fact in facts if fact.is_again and fact.turn - fact.told > LAST_TURNS],
        "told_before": list(facts),
    }
    figures, peers = {}, {}
    for name, chosen in sets.items():
        rng = np.random.default_rng(SEED)
        names = [fact.dialogue.name for fact in chosen]
        found = measure_facts(chosen)
        goal = _BEATS if name == "again" else ""
        for ours in ("summary", "package"):
            figures[f"{name}_{ours}"] = Figure(*bootstrap(found[ours], names, rng), "share", "higher", goal)
        gain = bootstrap(found["summary"] - found["last_three_turns"], names, rng)
        figures[f"{name}_summary_over_last_three_turns"] = Figure(*gain, "share", "higher", "")
        same = bootstrap(found["summary"] - found["last_words"], names, rng)
        figures[f"{name}_summary_over_last_words"] = Figure(*same, "share", "higher", "")
        peers[name] = {"facts": len(chosen), "dialogues": len(set(names))} | {
            key: float(values.mean()) for key, values in found.items()
        }
    return figures, peers


if __name__ == "__main__":
    main()
