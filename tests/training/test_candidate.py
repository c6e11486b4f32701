from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from labeling.config import load_config
from labeling.errors import EncoderError, TrainingError
from labeling.tables import LABELS
from labeling.taxonomy import Label, Task
from tests.training.parts import MESSAGES, TEXTS
from training.calibration import fit_temperature
from training.candidate import PARITY_TOLERANCE, Champion, train_candidate, would_start_warm
from training.lexicon import add_lexicon
from training.model_folder import load_description, load_manifest
from training.quadratic import QuadraticHead
from training.recipe import QuadraticRecipe, Recipe, uses_bf16
from training.scoring import JointScorer, Scorer
from training.training_set import freeze_training_set

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SMOKE = load_config(Path(__file__).parents[2] / "configs" / "recipes" / "smoke.yaml", Recipe)
NOTHING = pl.DataFrame(schema={"text": pl.String, "label": pl.String})
ALL = [(f"i{n}", text, label) for n, (label, text) in enumerate((k, t) for k, ts in MESSAGES.items() for t in ts)]
INTERACTIONS = pl.DataFrame({"interaction_id": [row[0] for row in ALL], "text": [row[1] for row in ALL]})


def frozen(share=0.2):
    task = Task(name="topic", question="About what?", labels=tuple(Label(name=n, title=n) for n in MESSAGES))
    rows = [
        {"interaction_id": name, "task": "topic", "label": label, "confidence": 0.9, "settled_at": NOW}
        for name, _, label in ALL
    ]
    return freeze_training_set(LABELS.frame(rows), INTERACTIONS, task=task, key=b"k", dev_share=share, now=NOW)


def test_the_recipe_for_intents_trains_a_quadratic_head_that_goes_on_warm(tmp_path):
    recipe = load_config(Path(__file__).parents[2] / "configs" / "recipes" / "intent.yaml", Recipe)
    whole = frozen()
    first = train_candidate(whole, INTERACTIONS, calibrate=NOTHING, recipe=recipe, folder=tmp_path / "first")
    assert first.parity_gap < PARITY_TOLERANCE
    scorer = Scorer.load(first.folder)
    assert isinstance(scorer.head, QuadraticHead)
    answers = scorer.score(INTERACTIONS["text"].to_list()).frame()["label"]
    assert (answers == pl.Series([row[2] for row in ALL])).mean() > 0.95
    known = load_manifest(first.folder, scorer.about).select("text_digest", "label").rows()
    champion = Champion(first.folder, frozenset(known[:-3]))
    again = train_candidate(
        whole, INTERACTIONS, calibrate=NOTHING, recipe=recipe, folder=tmp_path / "again", champion=champion
    )
    assert (again.params["start"], again.chosen_epoch) == ("warm", 0)
    after = Scorer.load(again.folder)
    assert np.allclose(after.logits(["where is it?"]), scorer.logits(["where is it?"]), atol=0.5)


@pytest.mark.parametrize(
    "other",
    [
        {"pooled_layers": 2},
        {"head": QuadraticRecipe(kind="quadratic", directions=8, penalty=0.1)},
        {"epochs": 0, "fixed_epochs": 0, "warm": SMOKE.warm.model_copy(update={"most_new": 1.0, "epochs": 0})},
        {"lexicon": "vader"},
    ],
    ids=["layers", "head", "steps", "lexicon"],
)
def test_another_kind_of_head_feature_or_lexicon_starts_from_scratch(other, candidate):
    champion = Champion(candidate.folder, frozenset())
    recipe = SMOKE.model_copy(update={"warm": SMOKE.warm.model_copy(update={"most_new": 1.0})})
    assert would_start_warm(champion, frozen(), recipe)
    assert not would_start_warm(champion, frozen(), recipe.model_copy(update=other))


@pytest.fixture(scope="module")
def with_lexicon(tmp_path_factory):
    recipe = SMOKE.model_copy(update={"lexicon": "vader"})
    folder = tmp_path_factory.mktemp("candidates") / "lexicon"
    return train_candidate(frozen(), INTERACTIONS, calibrate=NOTHING, recipe=recipe, folder=folder)


def test_a_lexicon_stands_beside_the_encoder_from_training_to_answers(with_lexicon, candidate):
    assert with_lexicon.parity_gap < PARITY_TOLERANCE
    scorer, plain = Scorer.load(with_lexicon.folder), Scorer.load(candidate.folder)
    assert scorer.head[0].shape[1] == plain.head[0].shape[1] + 4
    features, logits = scorer.read(TEXTS)
    assert features.shape == (len(TEXTS), 384)
    assert np.allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    assert np.allclose(add_lexicon(features, TEXTS, "vader") @ scorer.head[0].T + scorer.head[1], logits, atol=1e-5)
    joint = JointScorer({"with": scorer, "without": plain}).score(TEXTS)
    for name, one in (("with", scorer), ("without", plain)):
        alone = one.score(TEXTS)
        assert np.allclose(joint[name].probabilities, alone.probabilities, atol=1e-5)
        assert np.allclose(joint[name].novelty, alone.novelty, atol=1e-3)


def test_a_retrain_goes_on_from_a_head_with_a_lexicon(with_lexicon, tmp_path):
    about = load_description(with_lexicon.folder)
    known = load_manifest(with_lexicon.folder, about).select("text_digest", "label").rows()
    again = train_candidate(
        frozen(),
        INTERACTIONS,
        calibrate=NOTHING,
        recipe=SMOKE.model_copy(update={"lexicon": "vader"}),
        folder=tmp_path / "again",
        champion=Champion(with_lexicon.folder, frozenset(known[:-2])),
    )
    assert again.params["start"] == "warm"
    gap = np.abs(Scorer.load(again.folder).head[0] - Scorer.load(with_lexicon.folder).head[0])
    assert 0 < gap.max() < 1


@pytest.fixture(scope="module")
def candidate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("candidates") / "topic"
    return train_candidate(frozen(), INTERACTIONS, calibrate=NOTHING, recipe=SMOKE, folder=folder)


def test_a_candidate_answers_from_its_folder(candidate):
    scorer = Scorer.load(candidate.folder)
    answers = scorer.score([text for _, text, _ in ALL]).frame()["label"].to_list()
    assert np.mean([answer == label for answer, (_, _, label) in zip(answers, ALL, strict=True)]) >= 0.9
    assert candidate.labels == scorer.labels == ("delivery", "refund", "login")
    assert 0 < candidate.parity_gap < PARITY_TOLERANCE / 10


def test_a_candidate_says_where_it_comes_from(candidate):
    about = Scorer.load(candidate.folder).about
    assert about.training_set_id == frozen().training_set_id
    assert Recipe.model_validate(about.recipe) == SMOKE
    assert candidate.params["lora.rank"] == 2
    assert candidate.params["train_rows"] + candidate.params["dev_rows"] == 30
    assert candidate.params["temperature_source"] == "nothing"
    assert [epoch.epoch for epoch in candidate.curves] == [0, 1]
    assert not list(candidate.folder.parent.glob("*.partial"))


def test_the_same_seed_gives_the_same_model(candidate, tmp_path):
    one = train_candidate(frozen(), INTERACTIONS, calibrate=NOTHING, recipe=SMOKE, folder=tmp_path / "one")
    other = train_candidate(frozen(), INTERACTIONS, calibrate=NOTHING, recipe=SMOKE, folder=tmp_path / "two", seed=7)
    texts = [text for _, text, _ in ALL]
    first, same, changed = (Scorer.load(made.folder).logits(texts) for made in (candidate, one, other))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, changed)
    assert other.params["seed"] == 7


def test_the_temperature_comes_from_calibrate_where_there_is_enough(tmp_path):
    calibrate = pl.DataFrame(
        {"text": [text for _, text, _ in ALL] + ["odd"], "label": [row[2] for row in ALL] + ["new"]}
    )
    sure = train_candidate(frozen(), INTERACTIONS, calibrate=calibrate, recipe=SMOKE, folder=tmp_path / "sure")
    wrong = calibrate.with_columns(pl.col("label").shift(10, fill_value="delivery"))
    unsure = train_candidate(frozen(), INTERACTIONS, calibrate=wrong, recipe=SMOKE, folder=tmp_path / "unsure")
    assert sure.params["temperature_source"] == "calibrate"
    assert sure.temperature < 1 < unsure.temperature
    assert Scorer.load(unsure.folder).about.temperature == unsure.temperature


def test_a_quadratic_head_keeps_its_temperature_for_a_handful_of_cases(tmp_path):
    recipe = load_config(Path(__file__).parents[2] / "configs" / "recipes" / "intent.yaml", Recipe)
    calibrate = pl.DataFrame({"text": [text for _, text, _ in ALL], "label": [row[2] for row in ALL]})
    made = train_candidate(frozen(), INTERACTIONS, calibrate=calibrate, recipe=recipe, folder=tmp_path / "topic")
    logits = Scorer.load(made.folder).logits(calibrate["text"].to_list())
    names = list(Scorer.load(made.folder).labels)
    freely = fit_temperature(logits, np.array([names.index(label) for label in calibrate["label"]]))
    assert made.params["temperature_source"] == "calibrate"
    assert abs(np.log(made.temperature)) < abs(np.log(freely))


def test_a_candidate_answers_in_what_its_recipe_says(candidate, tmp_path):
    calibrate = pl.DataFrame({"text": [text for _, text, _ in ALL], "label": [row[2] for row in ALL]})
    recipe = SMOKE.model_copy(update={"answers_in": "int8", "first_reader": True})
    quick = train_candidate(frozen(), INTERACTIONS, calibrate=calibrate, recipe=recipe, folder=tmp_path / "quick")
    about = Scorer.load(quick.folder).about
    assert (about.precision, about.temperature) == ("int8", quick.temperature)
    assert quick.params["temperature"] == quick.temperature
    assert quick.params["changed_share"] <= 1 / 30
    assert quick.params["first_reader"] is False  # thirty cases show too little
    assert quick.parity_gap < PARITY_TOLERANCE / 10
    assert Scorer.load(candidate.folder).about.precision == "fp32"


@pytest.mark.parametrize("cases", [0, 30])
def test_where_it_may_choose_a_candidate_answers_in_bf16_only_after_cases_showed_the_same_answers(cases, tmp_path):
    calibrate = pl.DataFrame({"text": [text for _, text, _ in ALL], "label": [row[2] for row in ALL]}).head(cases)
    recipe = SMOKE.model_copy(update={"answers_in": "auto"})
    made = train_candidate(frozen(), INTERACTIONS, calibrate=calibrate, recipe=recipe, folder=tmp_path / "auto")
    is_faster = uses_bf16("auto", "cpu")
    assert Scorer.load(made.folder).about.precision == ("bf16" if cases and is_faster else "fp32")
    assert ("changed_share" in made.params) == bool(cases and is_faster)


def test_a_candidate_knows_what_it_learnt_from_and_what_is_unlike_it(candidate):
    scorer = Scorer.load(candidate.folder)
    rows = load_manifest(candidate.folder, scorer.about)
    assert set(rows["interaction_id"]) == {row[0] for row in ALL}
    known, odd = (np.median(scorer.score(texts).novelty) for texts in (list(INTERACTIONS["text"]), ["zzz", "1 + 1"]))
    assert known < odd


def test_a_refused_training_leaves_the_folder_alone(candidate):
    before = sorted(path.relative_to(candidate.folder) for path in candidate.folder.rglob("*"))
    more = {"recipe": SMOKE, "folder": candidate.folder}
    with pytest.raises(TrainingError, match="gone"):
        train_candidate(frozen(), INTERACTIONS.head(3), calibrate=NOTHING, **more)
    more["recipe"] = SMOKE.model_copy(update={"encoder": SMOKE.encoder.model_copy(update={"sha256": "0" * 64})})
    with pytest.raises(EncoderError):
        train_candidate(frozen(), INTERACTIONS, calibrate=NOTHING, **more)
    assert sorted(path.relative_to(candidate.folder) for path in candidate.folder.rglob("*")) == before
    assert Scorer.load(candidate.folder).labels == candidate.labels
