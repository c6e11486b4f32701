"""What the libraries read from the environment when they are first imported: no telemetry, and no idle spinning."""

import os
from typing import Final

SETTINGS: Final = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_THREAD_TIMEOUT": "4",
}
"""The threads of OpenMP and of OpenBLAS spin while they wait: OpenBLAS's for 2**26 ticks, now for 2**4. Where another
program has the cores too, spinning made small matrix products three to nine times slower and a logistic regression
fifteen times; sleeping instead costs next to nothing on an idle machine."""


def prepare_environment() -> None:
    """Set what is not set yet; to be called before numpy and torch are imported."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
