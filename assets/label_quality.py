"""How good the labels are: a report for reviewers, a page for each annotator, pictures of the queue."""

from math import isnan
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np

from assets.desk import review_tasks
from assets.quality_report import FOLDER, QualityReport, draw_plots, read_quality, write_pages
from assets.resources import Loop
from assets.review import labels
from assets.review_plots import as_markdown
from labeling.digests import keyed_digest


def write_report(loop: Loop) -> tuple[QualityReport, dict[str, str], Path]:
    """Write the pages on the quality of the labels; return what they say, their plots, and the reviewers' page."""
    key, now = loop.folder.key(), loop.now()
    rng = np.random.default_rng(int(keyed_digest(key, "label_quality")[:32], 16))
    report = read_quality(loop.tables, taxonomy=loop.settings.taxonomy, key=key, rng=rng)
    plots = draw_plots(loop.tables, report.agreements, now=now)
    return report, plots, write_pages(report, plots, loop.folder.reports / FOLDER, now=now)


@dg.asset(group_name="review", deps=["reviews", labels, "review_queue", review_tasks])
def label_quality(loop: Loop) -> dg.MaterializeResult:
    """Agreement, mixed-up labels, likely errors, anchoring, gold: one HTML page in the home, and plots."""
    report, plots, page = write_report(loop)
    metadata: dict[str, Any] = {
        "report": dg.MetadataValue.url(f"{loop.settings.services.reports.address}/{FOLDER}/{page.name}"),
        "path": dg.MetadataValue.path(str(page)),
        "waiting": report.waiting,
        "likely_errors": len(report.errors) + report.more_errors,
    }
    for one in report.agreements:
        if not isnan(one.alpha):
            metadata[f"{one.task}_agreement"] = one.alpha
    pictures = {name: dg.MetadataValue.md(as_markdown(svg, name.replace("_", " "))) for name, svg in plots.items()}
    return dg.MaterializeResult(metadata=metadata | pictures)
