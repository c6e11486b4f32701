"""The reviewers' page: what waits for a decision, the evidence on it, and the decision. A process of its own."""

from typing import Final

HEALTH: Final = "/health"
"""Answers everybody, and says nothing but that the page is served."""

MLFLOW_URI: Final = "CXLOOP_MLFLOW_URI"
"""The environment variable in which whoever starts the page hands over the registry's address; "" for the home's."""

SECRET: Final = "CXLOOP_REVIEWERS_SECRET"  # noqa: S105 - the name of the secret
"""Signs the page's cookies and forms."""
