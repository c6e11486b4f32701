import dagster as dg

from assets.lineage import metadata_of


def test_the_newest_materialization_speaks():
    said = iter(("first", "second"))

    @dg.asset
    def thing() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"version": next(said), "sets": dg.MetadataValue.json({"intent": "a"})})

    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            dg.materialize([thing], instance=instance)
        assert metadata_of(instance, "thing") == {"version": "second", "sets": {"intent": "a"}}


def test_what_was_never_made_says_nothing():
    with dg.DagsterInstance.ephemeral() as instance:
        assert metadata_of(instance, "thing") == {}
