"""The ledger's head in a second place: a file beside it that gets a line for each entry, right after its commit."""

import os
from collections.abc import Iterable
from pathlib import Path


class HeadFile:
    """Anchors (``number:digest``), one a line, oldest first.

    Who cuts or rewrites the ledger has to rewrite this file too. A process that is killed between an entry's commit
    and its line leaves the line out, so a line that is missing means nothing; one that the ledger lacks does.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, anchors: Iterable[str]) -> None:
        """Add a line for each of ``anchors``, down to the disk.

        Raises:
            OSError: the file cannot be written.
        """
        lines = "".join(f"{anchor}\n" for anchor in anchors)
        if not lines:
            return
        with self.path.open("a", encoding="ascii") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())

    def lines(self) -> list[str]:
        """Return every whole line as it stands; one that a power cut tore (no line end) is left out.

        Raises:
            OSError: the file cannot be read, or is not there.
        """
        return self.path.read_bytes().decode("utf-8", "backslashreplace").split("\n")[:-1]
