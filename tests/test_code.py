"""What the code of the product must not hold."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("labeling", "training", "serving", "assets", "pipelines")
RUNS_WHATEVER_IT_READS = re.compile(
    r"import (pickle|cloudpickle|joblib|dill|shelve)|torch\.(load|save)\(|allow_pickle=True|read_pickle|to_pickle"
)


def test_no_pickle_is_written_or_loaded():
    code = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(code) > 100
    found = [path for path in code if RUNS_WHATEVER_IT_READS.search(path.read_text(encoding="utf-8"))]
    assert found == []
