import dagster as dg
import pytest

from assets.settings import load_settings
from assets.training import settled_labels, training_assets
from labeling import tables as t
from labeling.errors import ConfigError
from labeling.home import Home
from pipelines.replay.stage import make_stage


@pytest.fixture
def intent(stocked):
    return next(task for task in stocked.loop.settings.taxonomy.tasks if task.name == "intent")


@pytest.fixture
def make(stocked, intent):
    """Return a function that materializes the training assets of intent."""

    def materialize():
        upstream = dg.AssetSpec("labels")
        done = dg.materialize(
            [upstream, *training_assets(intent)],
            resources={"loop": stocked.loop},
            instance=stocked.instance,
            selection=dg.AssetSelection.groups("training"),
        )
        return {
            name: {key: found.value for key, found in done.asset_materializations_for_node(name)[0].metadata.items()}
            for name in ("intent_training_set", "intent_candidate")
        }

    return materialize


def test_settled_labels_are_those_of_the_lot_part_and_task_that_can_be_told(stocked):
    stocked.interactions("a", "b", "unsure")
    stocked.interactions("t", lot="audit", part="test")
    stocked.interactions("c", lot="audit", part="calibrate")
    stocked.labels({"a": "x", "b": "y", "unsure": "cannot_tell", "t": "x", "c": "y"})
    stocked.labels({"a": "neutral"}, task="sentiment")
    assert settled_labels(stocked.loop, "intent", lot="open")["interaction_id"].to_list() == ["a", "b"]
    [row] = settled_labels(stocked.loop, "intent", lot="audit", part="test").to_dicts()
    assert (row["interaction_id"], row["label"], row["text"]) == ("t", "x", "text of t")


def test_one_class_waits_for_another_and_says_so(stocked, intent, make):
    stocked.interactions("a", "b")
    stocked.labels(dict.fromkeys("ab", intent.label_names[0]))
    made = make()
    assert made["intent_training_set"] == {
        "training_set_id": "",
        "waits_for": "task intent needs labels of at least two kinds to train on, found 2 labels of 1: review "
        "more cases, of other kinds",
    }
    assert made["intent_candidate"] == {"version": "", "waits_for": "settled labels of two classes of intent"}
    assert stocked.tables.read(t.TRAINING_SETS).is_empty()


def test_what_was_left_out_is_shown_and_stops_no_other_label(stocked, intent, make):
    one, two = intent.label_names[:2]
    stocked.interactions("a", "b", "strange")
    stocked.put(t.INTERACTIONS, {"interaction_id": "empty", "text": "<NAME>"}, turn=1, lot="open")
    stocked.labels({"empty": two, "a": one, "strange": "never_known"})
    assert "1 left out (text empty)" in make()["intent_training_set"]["waits_for"]
    stocked.labels({"b": two})
    frozen = stocked.make(dg.AssetSpec("labels"), training_assets(intent)[0])["intent_training_set"]
    assert frozen["rows"] == 2
    assert frozen["left_out"] == {"text empty": 1, "label outside the taxonomy": 1}


def test_the_same_labels_freeze_to_the_same_set_once(stocked, intent):
    stocked.interactions("a", "b", "c")
    stocked.interactions("audited", lot="audit", part="test")
    one, two = intent.label_names[:2]
    stocked.labels({"a": one, "b": two, "c": one, "audited": two})
    frozen, _ = training_assets(intent)
    sets = [
        dg.materialize(
            [dg.AssetSpec("labels"), frozen],
            resources={"loop": stocked.loop},
            instance=stocked.instance,
            selection=dg.AssetSelection.groups("training"),
        )
        .asset_materializations_for_node("intent_training_set")[0]
        .metadata["training_set_id"]
        .value
        for _ in range(2)
    ]
    rows = stocked.tables.read(t.TRAINING_SETS)
    assert sets[0] == sets[1]
    assert rows["training_set_id"].to_list() == [sets[0]] * 3
    assert sorted(rows["interaction_id"]) == ["a", "b", "c"]


@pytest.fixture
def train(stocked, intent):
    """Return a function that trains intent by the smoke recipe; it returns the candidate's facts."""

    def materialize(**config):
        config = {"config": {"recipe": "smoke"} | config}
        done = dg.materialize(
            [dg.AssetSpec("labels"), *training_assets(intent)],
            resources={"loop": stocked.loop},
            instance=stocked.instance,
            selection=dg.AssetSelection.groups("training"),
            run_config={"ops": dict.fromkeys(("intent_training_set", "intent_candidate"), config)},
        )
        [made] = done.asset_materializations_for_node("intent_candidate")
        return {key: found.value for key, found in made.metadata.items()}

    return materialize


def test_a_retrain_goes_on_from_the_champion_until_it_is_time_for_a_cold_one(stocked, intent, train):
    one, two = intent.label_names[:2]
    registry = stocked.loop.open_registry()

    def settle(*numbers):
        names = [f"message-{number}" for number in numbers]
        stocked.interactions(*names)
        stocked.labels({name: (one, two)[number % 2] for name, number in zip(names, numbers, strict=True)})

    def crown(version):
        registry.set_alias("cxloop-intent", "champion", version)

    settle(*range(20))
    first = train()
    assert (first["version"], first["start"]) == ("1", "cold")
    assert train()["version"] == "1"
    settle(20, 21)
    crown("1")
    assert train()["start"] == "warm"
    assert train(from_scratch=True)["start"] == "cold"
    crown("2")
    settle(22)
    assert train()["start"] == "warm"
    settle(23)
    assert train()["start"] == "cold"  # smoke.yaml: one of two
    assert [version.tags["cxloop.start"] for version in registry.versions("cxloop-intent")] == [
        "cold",
        "warm",
        "cold",
        "warm",
        "cold",
    ]
    assert len(list((stocked.home.training / "activations").glob("*/*.safetensors"))) == 4
    assert not list((stocked.home.training / "runs").glob("*"))


def test_a_task_may_have_a_recipe_of_its_own(tmp_path):
    home = Home(tmp_path / "home")
    home.path.mkdir()
    changes = {"recipe": "demo", "task_recipes": {"sentiment": "smoke"}}
    make_stage(home, seed=1, changes={"settings.yaml": {"retrain": changes}})
    settings = load_settings(home.configs)
    asked = [
        settings.recipe_for("intent"),
        settings.recipe_for("sentiment"),
        settings.recipe_for("intent", named="gpu"),
    ]
    assert asked == [settings.recipes[name] for name in ("demo", "smoke", "gpu")]
    path = home.configs / "settings.yaml"
    path.write_text(path.read_text().replace("sentiment: smoke", "mood: none"))
    with pytest.raises(ConfigError) as caught:
        load_settings(home.configs)
    assert "retrain.task_recipes.mood: needs a file of recipes/" in caught.value.faults[0]
    assert "found 'none'" in caught.value.faults[0]
    assert "needs tasks of taxonomy.yaml (intent, sentiment), found 'mood'" in caught.value.faults[1]
