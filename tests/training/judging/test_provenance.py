import subprocess
from importlib.metadata import version
from pathlib import Path

from training.judging.provenance import find_code, list_packages

ROOT = Path(__file__).parents[3]


def test_the_commit_is_that_of_the_checkout(tmp_path):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    assert find_code(ROOT).commit == (head.stdout.strip() or None)
    assert find_code(tmp_path).commit is None
    assert find_code().version


def test_packages_are_listed_with_their_versions():
    packages = list_packages()
    assert f"polars=={version('polars')}" in packages
    assert all(line.count("==") == 1 for line in packages)
