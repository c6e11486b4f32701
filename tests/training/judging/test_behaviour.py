import re

import numpy as np

from training.judging.behaviour import check_behaviour, perturb_texts
from training.scoring import Scores

TEXTS = (
    "my card 4821 has not arrived yet",
    "where is the parcel <ORDER> that you promised?",
    "I want my money back",
    "hi",
    "",
)
ORDER = ("negative", "neutral", "positive")
KINDS = ("typos", "casing", "names", "politeness", "order_numbers")


def perturbed(texts=TEXTS, seed=0, **about):
    return {one.kind: one for one in perturb_texts(texts, rng=np.random.default_rng(seed), **about)}


def answering(is_second):
    """Return a model of two labels that gives the second where ``is_second`` says so."""
    return lambda texts: Scores(
        ("a", "b"), np.eye(2, dtype=np.float32)[np.array([is_second(text) for text in texts], dtype=int)]
    )


def feeling(mean):
    """Return a model whose sentiment is ``mean`` (0 to 1) of each text."""
    return lambda texts: Scores(ORDER, np.array([[1 - mean(text), 0, mean(text)] for text in texts], dtype=np.float32))


def failed(found):
    return {one.kind: one.failed for one in found}


def test_a_model_that_answers_alike_fails_nothing_and_all_kinds_are_tried():
    found = check_behaviour(tuple(perturbed().values()), answering(lambda text: False))
    assert failed(found) == dict.fromkeys(KINDS, 0)
    assert {one.kind: one.tried for one in found} == {
        "typos": 3, "casing": 4, "names": 4, "politeness": 4, "order_numbers": 4,
    }  # fmt: skip


def test_each_kind_catches_the_model_that_hangs_on_it():
    tried = tuple(perturb_texts(TEXTS * 10, rng=np.random.default_rng(0)))
    hangs_on = {
        "casing": lambda text: text.isupper() or text.islower(),
        "names": lambda text: "Wei" in text,
        "politeness": lambda text: bool(re.search("Hello|Good morning|Thank|regards", text)),
        "order_numbers": lambda text: sum(map(int, re.findall(r"\d", text))) > 15,
        "typos": lambda text: text in TEXTS,
    }
    for kind, is_second in hangs_on.items():
        by_kind = {one.kind: one for one in check_behaviour(tried, answering(is_second))}
        assert by_kind[kind].failed > 0, kind
        assert len(set(by_kind[kind].rows)) == by_kind[kind].failed
    only_names = failed(check_behaviour(tried, answering(hangs_on["names"])))
    assert {kind for kind, count in only_names.items() if count} == {"names"}


def test_placeholders_and_the_rest_of_the_message_stay():
    for seed in range(20):
        found = perturbed(seed=seed)
        assert all("<ORDER>" in after for one in found.values() for after in one.after if "parcel" in after.lower())
        typos = dict(zip(found["typos"].before, found["typos"].after, strict=True))
        assert all(sorted(before) == sorted(after) and before != after for before, after in typos.items())
        number = next(after for after in found["order_numbers"].after if "my card" in after)
        assert re.fullmatch(r"my card [1-9]\d{3} has not arrived yet", number)
        assert "<>" not in "".join(found["order_numbers"].after)


def test_the_same_chance_gives_the_same_changes():
    assert perturbed(seed=3) == perturbed(seed=3) != perturbed(seed=4)
    few = perturbed(TEXTS * 10, most=7)
    assert max(len(one.rows) for one in few.values()) == 7


def test_words_are_of_the_language_of_the_message():
    found = perturbed(TEXTS[:3], languages=["de", "xx", None])
    assert found["thanks"].rows == (0, 2)
    assert "dank" in found["thanks"].after[0].lower()
    assert "than" in found["thanks"].after[1].lower()
    assert found["typos"].rows == (0, 1, 2)


def test_an_insult_must_not_raise_and_thanks_must_not_lower_the_mood():
    tried = tuple(perturb_texts(TEXTS * 5, rng=np.random.default_rng(0)))
    sound = feeling(lambda text: 0.9 if re.search("wonderful|Great", text) else 0.1 if "erri" in text else 0.5)
    found = check_behaviour(tried, sound, order=ORDER)
    assert failed(found)["insult"] == failed(found)["thanks"] == 0
    turned = feeling(lambda text: 0.2 if "wonderful" in text else 0.8 if "useless" in text else 0.5)
    found = failed(check_behaviour(tried, turned, order=ORDER))
    assert found["insult"] > 0
    assert found["thanks"] > 0
    barely = feeling(lambda text: 0.45 if "wonderful" in text else 0.55 if "useless" in text else 0.5)
    assert failed(check_behaviour(tried, barely, order=ORDER))["thanks"] == 0
    assert "thanks" not in failed(check_behaviour(tried, turned))


def test_nothing_to_change_is_no_failure():
    found = check_behaviour(perturb_texts(["", "  "], rng=np.random.default_rng(0)), answering(lambda text: False))
    assert all(one.tried == one.failed == 0 for one in found)
