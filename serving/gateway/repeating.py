"""What is looked after while the gateway runs, again and again."""

import logging
import threading
from collections.abc import Callable
from typing import Final

_LOG: Final = logging.getLogger(__name__)


class Repeating:
    """Does something every so many seconds, on a thread of its own; a failure is logged, and it is tried again.

    Args:
        act: what is done; for the first time as soon as it starts.
        seconds: between the end of one time and the next.
        name: what is done, in a word: names the thread.
    """

    def __init__(self, act: Callable[[], None], *, seconds: float, name: str) -> None:
        self._act = act
        self._seconds = seconds
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"gateway-{name}")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; waits for what is under way."""
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.is_set():
            try:
                self._act()
            except Exception as error:  # its message could hold what a customer wrote
                _LOG.error("%s failed (%s): trying again", self._thread.name, type(error).__name__)
            self._is_over.wait(self._seconds)
