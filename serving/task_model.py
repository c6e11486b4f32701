"""The registered model of one task, as code: MLflow runs this file where the model is loaded."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model  # noqa: TID253 - this file is nothing but MLflow's way in
from mlflow.pyfunc.model import PythonModel  # noqa: TID253

from serving.texts import read_texts


class TaskModel(PythonModel):
    """Answers one task: texts in, the label and its calibrated confidence out."""

    def load_context(self, context: Any) -> None:
        """Load the model folder."""
        from training.scoring import Scorer

        self._scorer = Scorer.load(Path(context.artifacts["folder"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Return ``<task>`` and ``<task>_confidence`` for each text."""
        from serving.package import answer_task

        return answer_task(self._scorer, read_texts(model_input))


set_model(TaskModel())
