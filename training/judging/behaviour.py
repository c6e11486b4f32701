"""Behaviour that no test set shows: what must not change an answer, and what must not push it the wrong way.

After CheckList (Ribeiro et al., 2020). Invariance: typos, casing, the customer's name, polite words and order numbers
say nothing of what a message is about. Direction: an insult added must not raise the sentiment, thanks must not lower
it. No labels are needed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.scoring import Scores

TOLERANCE: Final = 0.1
"""A mean sentiment, in [0, 1], that moves the wrong way by no more than this is let pass, as CheckList does."""

_LANGUAGE: Final = "en"
_WORDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "en": {
        "names": ("This is {}. ", "My name is {}. "),
        "politeness": ("Hello, {}", "Good morning! {}", "{} Thank you in advance.", "{} Kind regards"),
        "order_numbers": ("{} My order number is <>.", "Order <>: {}"),
        "insult": ("{} You are useless.", "{} What a terrible company."),
        "thanks": ("{} Thank you, you are wonderful.", "{} Great service, thanks!"),
    },
    "de": {
        "names": ("Hier ist {}. ", "Mein Name ist {}. "),
        "politeness": ("Hallo, {}", "Guten Morgen! {}", "{} Vielen Dank im Voraus.", "{} Freundliche Grüße"),
        "order_numbers": ("{} Meine Bestellnummer ist <>.", "Bestellung <>: {}"),
        "insult": ("{} Sie sind unfähig.", "{} Was für ein furchtbares Unternehmen."),
        "thanks": ("{} Danke, Sie sind wunderbar.", "{} Toller Service, danke!"),
    },
    "es": {
        "names": ("Soy {}. ", "Me llamo {}. "),
        "politeness": ("Hola, {}", "¡Buenos días! {}", "{} Gracias de antemano.", "{} Un saludo"),
        "order_numbers": ("{} Mi número de pedido es <>.", "Pedido <>: {}"),
        "insult": ("{} Son unos inútiles.", "{} Qué empresa tan horrible."),
        "thanks": ("{} Gracias, son maravillosos.", "{} ¡Gran servicio, gracias!"),
    },
    "fr": {
        "names": ("Ici {}. ", "Je m'appelle {}. "),
        "politeness": ("Bonjour, {}", "Bonjour ! {}", "{} Merci d'avance.", "{} Cordialement"),
        "order_numbers": ("{} Mon numéro de commande est <>.", "Commande <> : {}"),
        "insult": ("{} Vous êtes des incapables.", "{} Quelle entreprise affreuse."),
        "thanks": ("{} Merci, vous êtes formidables.", "{} Excellent service, merci !"),
    },
}
_NAMES: Final = ("Aisha", "Carlos", "Emma", "Fatima", "Jamal", "John", "Kwame", "Olga", "Priya", "Wei")
_PLACEHOLDER: Final = re.compile(r"(<[A-Z][A-Z_]+>)")
_WORD: Final = re.compile(r"(?<![<\w])[^\W\d_]{4,}(?![>\w])")
_NUMBER: Final = re.compile(r"\d{4,}")


@dataclass(frozen=True)
class Perturbed:
    """Messages as they were and as they are changed, of one kind.

    ``direction`` is 0 where the answer must stay, 1 where the sentiment must not fall, -1 where it must not rise.
    ``rows`` are the places of the messages among those given, ``before`` and ``after`` what is compared, of one length.
    """

    kind: str
    direction: int
    rows: tuple[int, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True)
class Behaviour:
    """Of ``tried`` messages, in how many a model failed; ``rows`` says which (places, never texts)."""

    kind: str
    tried: int
    rows: tuple[int, ...]

    @property
    def failed(self) -> int:
        """How many."""
        return len(self.rows)


_Change = Callable[[str, Mapping[str, tuple[str, ...]], np.random.Generator], tuple[str, str] | None]


def perturb_texts(
    texts: Sequence[str],
    *,
    rng: np.random.Generator,
    languages: Sequence[str | None] | None = None,
    most: int = 200,
) -> tuple[Perturbed, ...]:
    """Return changed messages of every kind, so that several models can be asked the same.

    Args:
        texts: redacted messages.
        rng: the only source of chance: what is changed, and which messages where there are more than ``most``.
        languages: ISO 639 codes of the messages, English where null or not given. Messages of a language that there
            are no words for are tried with typos, casing and the numbers that they hold.
        most: messages that are changed (>= 1).

    Returns:
        One of each kind; a message that has nothing to change (no long word) is not in it.
    """
    held = [row for row, text in enumerate(texts) if text.strip()]
    chosen = sorted(int(row) for row in rng.permutation(held)[:most])
    spoken = [(languages[row] if languages else None) or _LANGUAGE for row in chosen]
    found = []
    for kind, (direction, change) in _KINDS.items():
        pairs = [
            (row, change(texts[row], _WORDS.get(language, {}), rng))
            for row, language in zip(chosen, spoken, strict=True)
        ]
        kept = [(row, *pair) for row, pair in pairs if pair and pair[0] != pair[1]]
        rows, before, after = zip(*kept, strict=True) if kept else ((), (), ())
        found.append(Perturbed(kind, direction, rows, before, after))
    return tuple(found)


def check_behaviour(
    perturbed: Sequence[Perturbed], score: Callable[[Sequence[str]], Scores], *, order: Sequence[str] = ()
) -> tuple[Behaviour, ...]:
    """Return how often one model fails, by kind.

    Args:
        perturbed: ``perturb_texts``.
        score: what the model says of texts, all in one call.
        order: the labels from the worst to the best, of a task whose labels have an order (sentiment): then the
            directions are tried, too. The sentiment of a message is the mean of their places, in [0, 1], by the
            probabilities of these labels.
    """
    tried = [one for one in perturbed if order or not one.direction]
    texts = list(dict.fromkeys(text for one in tried for text in (*one.before, *one.after)))
    scores = score(texts)
    answered = dict(zip(texts, scores.probabilities.argmax(axis=1).tolist(), strict=True))
    felt = dict(zip(texts, _mean_place(scores, order), strict=True)) if order else {}

    def fails(one: Perturbed, before: str, after: str) -> bool:
        if not one.direction:
            return answered[before] != answered[after]
        return one.direction * (felt[before] - felt[after]) > TOLERANCE

    return tuple(
        Behaviour(
            one.kind,
            len(one.rows),
            tuple(row for row, *pair in zip(one.rows, one.before, one.after, strict=True) if fails(one, *pair)),
        )
        for one in tried
    )


def _mean_place(scores: Scores, order: Sequence[str]) -> list[float]:
    """Return the mean place of each text between the worst (0) and the best label (1)."""
    known = [label for label in order if label in scores.labels]
    weights = scores.probabilities[:, [scores.labels.index(label) for label in known]].astype(np.float64)
    places = np.array([order.index(label) for label in known]) / max(1, len(order) - 1)
    return ((weights @ places) / np.maximum(weights.sum(axis=1), 1e-9)).tolist()


def _mistype(text: str, _: Mapping[str, tuple[str, ...]], rng: np.random.Generator) -> tuple[str, str] | None:
    """Swap two letters inside one word."""
    words = list(_WORD.finditer(text))
    if not words:
        return None
    word = words[rng.integers(len(words))]
    place = int(rng.integers(word.start() + 1, word.end() - 2))
    return text, f"{text[:place]}{text[place + 1]}{text[place]}{text[place + 2 :]}"


def _recase(text: str, _: Mapping[str, tuple[str, ...]], rng: np.random.Generator) -> tuple[str, str]:
    """Write all in capitals or all without; placeholders stay."""
    recase = str.upper if rng.random() < 0.5 else str.lower
    other = str.lower if recase is str.upper else str.upper
    parts = _PLACEHOLDER.split(text)
    changed, instead = (
        "".join(part if place % 2 else each(part) for place, part in enumerate(parts)) for each in (recase, other)
    )
    return text, instead if changed == text else changed


def _rename(text: str, words: Mapping[str, tuple[str, ...]], rng: np.random.Generator) -> tuple[str, str] | None:
    """Let the customer give one name, and another."""
    if not words:
        return None
    opening = words["names"][rng.integers(len(words["names"]))]
    one, other = rng.choice(_NAMES, 2, replace=False)
    return opening.format(one) + text, opening.format(other) + text


def _renumber(text: str, words: Mapping[str, tuple[str, ...]], rng: np.random.Generator) -> tuple[str, str] | None:
    """Change the digits of the numbers in the text; give an order number where there are none."""
    if _NUMBER.search(text):
        return text, _NUMBER.sub(lambda match: _draw_digits(len(match[0]), rng), text)
    added = _add("order_numbers")(text, words, rng)
    return added and (text, added[1].replace("<>", _draw_digits(7, rng)))


def _draw_digits(count: int, rng: np.random.Generator) -> str:
    return "".join(map(str, (rng.integers(1, 10), *rng.integers(0, 10, count - 1))))


def _add(kind: str) -> _Change:
    """Return the change that puts words of ``kind`` around a text."""

    def add(text: str, words: Mapping[str, tuple[str, ...]], rng: np.random.Generator) -> tuple[str, str] | None:
        if not words:
            return None
        around = words[kind][rng.integers(len(words[kind]))]
        return text, around.replace("{}", text)

    return add


_KINDS: Final[Mapping[str, tuple[int, _Change]]] = {
    "typos": (0, _mistype),
    "casing": (0, _recase),
    "names": (0, _rename),
    "politeness": (0, _add("politeness")),
    "order_numbers": (0, _renumber),
    "insult": (-1, _add("insult")),
    "thanks": (1, _add("thanks")),
}
