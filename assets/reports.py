"""The reports of a home that show customers' texts."""

from pathlib import Path
from typing import Final

from assets import agent_report, emerging, quality_report

_WITH_TEXTS: Final = (agent_report.FOLDER, emerging.FOLDER, quality_report.FOLDER)


def drop_reports(reports: Path) -> None:
    """Remove every report that shows texts, because one of them was erased; they are written anew by their jobs."""
    for folder in _WITH_TEXTS:
        quality_report.drop_pages(reports / folder)
