"""A model from code that needs nothing: it says what its folder tells it to, and how long each text is."""

from pathlib import Path

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class Echo(PythonModel):
    def load_context(self, context):
        self.label = Path(context.artifacts["folder"], "label.txt").read_text()

    def predict(self, context, model_input: pd.DataFrame, params=None):
        texts = model_input.iloc[:, 0].tolist()
        return pd.DataFrame({"label": [self.label] * len(texts), "length": [float(len(text)) for text in texts]})


set_model(Echo())
