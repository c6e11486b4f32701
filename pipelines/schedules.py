"""When the jobs run by the clock."""

import dagster as dg

from assets.settings import ScheduleSettings


def build_schedules(crons: ScheduleSettings) -> list[dg.ScheduleDefinition]:
    """Return one schedule per scheduled job, running unless switched off on Dagster's page."""
    return [
        dg.ScheduleDefinition(
            name=f"{name}_schedule",
            job_name=f"{name}_job",
            cron_schedule=getattr(crons, name),
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
        )
        for name in ScheduleSettings.model_fields
    ]
