"""Fixtures that are dear to make and shared by the whole session."""

pytest_plugins = ["tests.browser_fixture", "tests.label_studio_fixture", "tests.mlflow_fixture"]
