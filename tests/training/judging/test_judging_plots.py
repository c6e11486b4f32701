from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.training.judging.sample_case import TASK, sample_answers, sample_contents
from training.judging.curves import draw_curves
from training.judging.judging_plots import draw_label_changes, draw_plots, draw_reliability, draw_risk
from training.judging.scorecard import score_model


@pytest.fixture(scope="module")
def evidence():
    answers = sample_answers(600, rng=np.random.default_rng(0))
    who = ("challenger", "champion")
    cards = {one: score_model(answers, one, rng=np.random.default_rng(0)) for one in who}
    return cards, {one: draw_curves(answers, one) for one in who}


def said(svg):
    """Return what a picture says: matplotlib draws letters as shapes, and leaves each word as a comment."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))  # noqa: S314
    root = ElementTree.fromstring(svg, parser)  # noqa: S314
    return root, [(one.text or "").strip() for one in root.iter(ElementTree.Comment)]


def test_each_picture_names_both_models_and_tells_them_apart_without_colour(evidence):
    cards, curves = evidence
    drawn = {
        "Risk by coverage": draw_risk(curves),
        "Is confidence what it says": draw_reliability(curves),
    }
    for title, svg in drawn.items():
        root, words = said(svg)
        assert root.attrib["aria-label"] == title
        assert {"challenger", "champion"} <= set(words)
        assert "stroke-dasharray" in svg
    _, words = said(draw_label_changes(cards["challenger"], cards["champion"]))
    assert {"challenger", "champion"} <= set(words)


def test_the_labels_that_changed_most_are_shown_with_their_cases(evidence):
    challenger, champion = evidence[0]["challenger"], evidence[0]["champion"]
    changes = {
        label: abs((score.recall or 0) - (champion.labels[label].recall or 0))
        for label, score in challenger.labels.items()
        if score.support
    }
    most = max(changes, key=lambda label: (changes[label], label))
    _, words = said(draw_label_changes(challenger, champion))
    assert any(word.startswith(most.replace("_", " ") + " (") for word in words)
    _, words = said(draw_label_changes(champion, champion))
    assert "no label's recall changed" in words


def test_the_same_figures_give_the_same_bytes(evidence):
    assert draw_risk(evidence[1]) == draw_risk(evidence[1])


def test_a_first_champion_has_no_picture_of_changes():
    task = sample_contents(cases=60, with_plots=False).grounds.tasks[TASK]
    alone = replace(task, champion=None, answers=task.answers.with_columns(champion=None))
    plots = draw_plots({TASK: alone})
    assert set(plots) == {f"{TASK}_risk_coverage", f"{TASK}_reliability"}
    assert "champion" not in said(plots[f"{TASK}_risk_coverage"])[1]
