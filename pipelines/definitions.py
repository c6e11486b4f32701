"""What Dagster loads: ``dagster dev -m pipelines.definitions``. Nothing is read until Dagster asks for it."""

import dagster as dg

from labeling.home import Home
from labeling.taxonomy import Taxonomy


def build_definitions(home: Home) -> dg.Definitions:
    """Return every asset, job, schedule, sensor and check of the loop in ``home``.

    Raises:
        HomeError: there is no home there.
        ConfigError: its taxonomy or settings are wrong.
    """
    from assets.resources import Loop
    from assets.settings import ServiceSettings
    from labeling.config import load_config

    home.require()
    taxonomy = load_config(home.configs / "taxonomy.yaml", Taxonomy)
    services = load_config(home.configs / "settings.yaml", ServiceSettings)
    return assemble(taxonomy, services.schedules, Loop(home=str(home.path)))


def assemble(taxonomy: Taxonomy, crons, loop) -> dg.Definitions:  # noqa: ANN001
    """Return the definitions for a taxonomy: its tasks make the training assets.

    Args:
        taxonomy: the tasks.
        crons: ScheduleSettings.
        loop: the Loop resource.
    """
    from assets import (
        checks,
        desk,
        disagreements,
        emerging,
        feedback,
        label_quality,
        monitoring,
        reception,
        registry,
        review,
        selecting,
    )
    from assets.training import training_assets
    from pipelines.jobs import build_jobs
    from pipelines.schedules import build_schedules
    from pipelines.sensors import aliases_sensor, answers_waiting_sensor, labels_settled_sensor, notices_sensor

    trained = [asset for task in taxonomy.tasks for asset in training_assets(task)]
    return dg.Definitions(
        assets=[
            *dg.load_assets_from_modules(
                [feedback, review, selecting, disagreements, desk, label_quality, monitoring, emerging, reception]
            ),
            *trained,
            *registry.release_assets(taxonomy),
        ],
        asset_checks=checks.build_checks(taxonomy),
        jobs=build_jobs(),
        schedules=build_schedules(crons),
        sensors=[labels_settled_sensor, answers_waiting_sensor, aliases_sensor, notices_sensor],
        resources={"loop": loop},
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the home that ``CXLOOP_HOME`` names."""
    return build_definitions(Home.from_environment())
