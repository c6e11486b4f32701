"""Who answers: the champion is followed while requests run, and nothing unproven goes live."""

import threading

import pytest

from serving.gateway.releases import Live, Releases
from serving.gateway.standby import Standby
from serving.parity import ANSWERS_TAG, find_difference, note_answers
from serving.release import Release
from tests.mlflow_fixture import locked
from tests.serving.gateway.stage import disk_full_at, post, wait_for
from training.registry.registry import FAILED, PARITY_TAG, RELEASE


def follow(stage):
    """Return releases that were looked at once, and the alarms that are on."""
    alarms: dict[str, str] = {}
    standby = Standby(stage.home.standby, alarms.__setitem__)
    releases = Releases(stage.registry, stage.taxonomy, standby, follows_challenger=False, alarm=alarms.__setitem__)
    releases.look()
    return releases, alarms


def test_a_release_that_answers_otherwise_than_noted_is_told(small_releases):
    one, two = (Release.load(folder) for folder in small_releases)
    assert find_difference(one, note_answers(one)) == ""
    assert "was noted" in find_difference(two, note_answers(one))
    for damaged in ("", "{}x", '{"topic": 7}', '{"other": []}'):
        assert "cannot be read" in find_difference(one, damaged)


def test_without_a_champion_everything_is_handed_off_and_recorded(stage):
    with stage.serve() as client:
        answer = post(client, "/v1/triage", {"text": "refund"}).json()
        ready = client.get("/ready")
    assert (answer["handoff"], answer["recorded"]) == (True, True)
    assert [reason["signal"] for reason in answer["reasons"]] == ["no_release"]
    assert (ready.status_code, ready.json()["alarms"]) == (503, ["no_release"])
    assert stage.events()[0]["interaction"]["handled_by"] == "agent"


def test_a_swap_under_load_drops_nothing(stage, small_releases):
    stage.add_release(small_releases[0])
    answers, is_over = [], threading.Event()
    with stage.serve() as client:

        def ask() -> None:
            while not is_over.is_set():
                answers.append(post(client, "/v1/triage", {"text": "refund"}))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        second = stage.add_release(small_releases[1])
        wait_for(lambda: answers and answers[-1].json()["version"] == second)
        is_over.set()
        for thread in threads:
            thread.join()
    assert {answer.status_code for answer in answers} == {200}
    versions = [answer.json()["version"] for answer in answers]
    assert {"1", "2"} == set(versions)
    assert len(stage.events()) == len(answers)


def test_the_release_before_stays_loaded_for_a_rollback(stage, small_releases):
    first = stage.add_release(small_releases[0])
    releases, _ = follow(stage)
    before = releases.live.champion
    stage.add_release(small_releases[1])
    releases.look()
    assert releases.live.champion.version == "2"
    stage.registry.set_alias(RELEASE, "champion", first)
    releases.look()
    assert releases.live.champion is before


@pytest.mark.parametrize(
    ("tags", "why"), [({PARITY_TAG: FAILED}, "when it was registered"), ({ANSWERS_TAG: '{"topic": []}'}, "answers")]
)
def test_a_release_that_fails_parity_is_refused_and_the_old_one_stays(stage, small_releases, tags, why):
    first = stage.add_release(small_releases[0])
    releases, alarms = follow(stage)
    stage.add_release(small_releases[1], **tags)
    releases.look()
    assert releases.live.champion.version == first
    assert f"release 2 is refused: {'' if PARITY_TAG in tags else 'topic: '}" in alarms["release_refused"]
    assert why in alarms["release_refused"]
    stage.registry.set_alias(RELEASE, "champion", first)
    releases.look()
    assert alarms["release_refused"] == ""


def test_a_damaged_release_is_refused(stage, small_releases):
    stage.add_release(small_releases[0])
    releases, alarms = follow(stage)
    version = stage.add_release(small_releases[1])
    folder = stage.registry.download(RELEASE, version)
    (folder / "models" / "topic" / "head.safetensors").write_bytes(b"damaged")
    releases.look()
    assert releases.live.champion.version == "1"
    assert "needs the topic model that it was built with" in alarms["release_refused"]


def test_a_registry_that_is_down_at_the_start_and_later_is_told_and_comes_back(stage, small_releases, impatient_mlflow):
    stage.add_release(small_releases[0])
    with locked(stage.registry, "EXCLUSIVE"):
        releases, alarms = follow(stage)
        assert releases.live == Live()
        assert alarms["registry_down"]
        assert alarms["no_release"]
    releases.look()
    assert (alarms["registry_down"], alarms["no_release"]) == ("", "")
    with locked(stage.registry, "EXCLUSIVE"):
        releases.look()
        assert alarms["registry_down"]
    assert (releases.live.champion.version, alarms["no_release"]) == ("1", "")


def test_a_start_while_the_registry_is_down_answers_with_what_was_live_last(stage, small_releases, impatient_mlflow):
    first = stage.add_release(small_releases[0])
    follow(stage)
    second = stage.add_release(small_releases[1])
    before, _ = follow(stage)
    with locked(stage.registry, "EXCLUSIVE"):
        releases, alarms = follow(stage)
        copy = releases.live.champion
        assert (copy.version, alarms["no_release"]) == (second, "")
        assert alarms["registry_down"]
    assert note_answers(copy.release) == note_answers(before.live.champion.release)
    assert [path.name for path in sorted(stage.home.standby.iterdir())] == [second, "standby.json"]
    releases.look()
    assert releases.live.champion is copy
    stage.registry.set_alias(RELEASE, "champion", first)
    releases.look()
    assert (releases.live.champion.version, alarms["registry_down"]) == (first, "")


def test_a_copy_that_is_damaged_answers_nobody(stage, small_releases, impatient_mlflow):
    version = stage.add_release(small_releases[0])
    follow(stage)
    (stage.home.standby / version / "models" / "topic" / "head.safetensors").write_bytes(b"damaged")
    with locked(stage.registry, "EXCLUSIVE"):
        releases, alarms = follow(stage)
        assert releases.live == Live()
    assert "needs the topic model that it was built with" in alarms["no_standby"]
    for content in ("", "{}", '{"schema_version": 1, "version": "../1", "answers": "{}"}'):
        (stage.home.standby / "standby.json").write_text(content)
        with locked(stage.registry, "EXCLUSIVE"):
            assert follow(stage)[0].live == Live()
    releases, alarms = follow(stage)
    assert (releases.live.champion.version, alarms["no_standby"]) == (version, "")


def test_a_copy_that_cannot_be_made_or_was_interrupted_leaves_the_one_before(
    stage, small_releases, impatient_mlflow, monkeypatch
):
    first = stage.add_release(small_releases[0])
    follow(stage)
    second = stage.add_release(small_releases[1])
    with disk_full_at(1):
        releases, alarms = follow(stage)
    assert releases.live.champion.version == second
    assert f"release {second} is live but could not be copied" in alarms["no_standby"]
    with locked(stage.registry, "EXCLUSIVE"):
        assert follow(stage)[0].live.champion.version == first
    (stage.home.standby / f"{second}.new").mkdir()
    (stage.home.standby / second).mkdir()
    assert follow(stage)[1]["no_standby"] == ""
    with locked(stage.registry, "EXCLUSIVE"):
        assert follow(stage)[0].live.champion.version == second


def test_the_challenger_answers_in_the_shadow_of_so_many_messages(stage, small_releases):
    stage.add_release(small_releases[0])
    stage.add_release(small_releases[1], "challenger")
    messages = {"messages": [{"text": "refund", "interaction_id": f"i{number}"} for number in range(40)]}
    shadowed = {}
    for share in (0.0, 0.5, 1.0):
        stage.config = stage.config.model_copy(update={"shadow_share": share})
        before = len(stage.events())
        with stage.serve() as client:
            answers = post(client, "/v1/triage/batch", messages, **{"Idempotency-Key": str(share)}).json()["answers"]
        assert {answer["version"] for answer in answers} == {"1"}
        shadowed[share] = [event for event in stage.events()[before:] if "challenger" in event]
    assert [len(found) for found in shadowed.values()] == [0, pytest.approx(20, abs=10), 40]
    said = shadowed[1.0][0]
    assert said["challenger"]["version"] == "2"
    confidence = [said[who]["predictions"]["topic"]["confidence"] for who in ("champion", "challenger")]
    assert confidence[0] > confidence[1]
