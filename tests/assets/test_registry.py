"""The release that waits for its first candidate, and the champion that is put back where the ledger has it."""

import dagster as dg
import pytest

from assets.registry import release_assets
from tests.training.registry.stage import Stage, add_release
from training.registry.registry import RELEASE


@pytest.fixture
def registry(stocked):
    return stocked.loop.open_registry()


@pytest.fixture
def make(stocked, registry):
    """Return a function that materializes one asset of the group and returns its metadata."""

    def materialize(name):
        taxonomy = stocked.loop.settings.taxonomy
        done = dg.materialize(
            [*(dg.AssetSpec(f"{task}_candidate") for task in taxonomy.task_names), *release_assets(taxonomy)],
            resources={"loop": stocked.loop},
            instance=stocked.instance,
            selection=[name],
        )
        metadata = done.asset_materializations_for_node(name)[0].metadata
        return {key: found.value for key, found in metadata.items()}

    return materialize


def test_a_release_waits_for_its_first_candidate(make):
    assert make("release_challenger") == {"version": "", "waits_for": "a first candidate"}


def test_without_a_decision_there_is_no_champion(make):
    assert make("release_champion") == {"version": "none yet", "moves": []}


def test_the_ledger_is_copied_to_its_table(stocked, registry, make):
    Stage(stocked.loop.open_ledger(), registry, stocked.home.case_files).promote(add_release(registry))
    assert make("ledger") == {"copied": len(stocked.loop.open_ledger().entries())}
    assert make("ledger") == {"copied": 0}


def test_an_alias_that_was_moved_by_hand_is_put_back(stocked, registry, make):
    stage = Stage(stocked.loop.open_ledger(), registry, stocked.home.case_files)
    first, second = add_release(registry), add_release(registry)
    stage.promote(first)
    registry.set_alias(RELEASE, "champion", second)
    made = make("release_champion")
    assert made["version"] == first
    assert len(made["moves"]) == 1
    assert registry.aliases(RELEASE)["champion"] == first
    assert make("release_champion")["moves"] == []
