"""With which code and packages something was judged."""

import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from training.judging.case_file import Code


def find_code(checkout: Path | None = None) -> Code:
    """Return the version of cxloop, and the commit where it runs from a checkout.

    Args:
        checkout: the folder that may be one; by default the one that this code lies in.
    """
    folder = checkout or Path(__file__).parents[2]
    try:
        named = version("cxloop")
    except PackageNotFoundError:
        named = "not installed"
    git = shutil.which("git")
    if git is None or not (folder / ".git").exists():
        return Code(version=named)
    said = subprocess.run([git, "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return Code(version=named, commit=said.stdout.strip() or None)


@cache
def list_packages() -> tuple[str, ...]:
    """Return every installed package as ``name==version``, sorted; read once, as they were when first asked for."""
    return tuple(sorted({f"{one.name}=={one.version}" for one in distributions() if one.name}, key=str.lower))
