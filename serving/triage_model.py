"""The registered release, as code: MLflow runs this file where the release is loaded."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model  # noqa: TID253 - this file is nothing but MLflow's way in
from mlflow.pyfunc.model import PythonModel  # noqa: TID253

from serving.texts import read_texts


class TriageModel(PythonModel):
    """Answers every task and says whether to step aside."""

    def load_context(self, context: Any) -> None:
        """Load the release folder."""
        from serving.release import Release

        self._release = Release.load(Path(context.artifacts["folder"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Return ``<task>`` and ``<task>_confidence`` of each task, ``handoff``, ``handoff_reason``, ``release``."""
        return self._release.public_answer(read_texts(model_input))


set_model(TriageModel())
