"""Who answers: the champion, followed by its alias and swapped while requests run; the challenger in its shadow.

What answers is one immutable ``Live``; a batch takes it once and keeps it to its end, so a swap drops nothing. The
release that was live before stays loaded, so that a rollback takes no longer than to notice it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from labeling.errors import RegistryError
from labeling.taxonomy import Taxonomy
from serving.gateway.deciding import Pair
from serving.gateway.standby import Standby
from serving.parity import ANSWERS_TAG, load_alike
from serving.release import Champion
from training.registry.registry import PARITY_TAG, PASSED, RELEASE, ModelRegistry

_LOG: Final = logging.getLogger(__name__)

NO_RELEASE: Final = "no_release"
REGISTRY_DOWN: Final = "registry_down"
RELEASE_REFUSED: Final = "release_refused"

Alarm = Callable[[str, str], None]
"""Called with an alarm's name and what is wrong in words, "" where nothing is any more."""


@dataclass(frozen=True)
class Live:
    """What answers now: the champion, None before there is one; it and the challenger, None where there is none."""

    champion: Champion | None = None
    pair: Pair | None = None


class Releases:
    """The releases of one registry that are live. ``look`` is called by one thread, ``live`` read by any.

    Args:
        registry: where aliases and releases are.
        taxonomy: today's, in whose labels releases answer.
        standby: where the champion is copied to.
        follows_challenger: whether the challenger is loaded, too.
        alarm: told what is wrong, and what is no more.
    """

    def __init__(
        self, registry: ModelRegistry, taxonomy: Taxonomy, standby: Standby, *, follows_challenger: bool, alarm: Alarm
    ) -> None:
        self._registry = registry
        self._taxonomy = taxonomy
        self._standby = standby
        self._follows_challenger = follows_challenger
        self._alarm = alarm
        self._previous: Champion | None = None
        self._refused: dict[str, str] = {}
        self._is_begun = False
        self.live = Live()

    def look(self) -> None:
        """Ask the registry who is champion and challenger, and load who is new; what cannot be loaded changes nothing.

        A version that was refused is not tried again for as long as an alias names it. Where the registry is down at
        the first look, what stands by goes live.
        """
        before = self.live.champion
        try:
            aliases = self._registry.aliases(RELEASE)
            self._refused = {named: why for named, why in self._refused.items() if named in aliases.values()}
            champion = self._follow(aliases.get("champion"), self.live.champion) or self.live.champion
            wanted = aliases.get("challenger") if self._follows_challenger else None
            challenger = self._follow(wanted, self.live.pair.challenger if self.live.pair else None)
            self._set(champion, challenger)
            if champion and champion is not before:
                self._standby.keep(champion)
            self._alarm(RELEASE_REFUSED, "; ".join(self._refused.values()))
            self._alarm(REGISTRY_DOWN, "")
        except RegistryError as error:
            self._alarm(REGISTRY_DOWN, str(error))
            if not self._is_begun:
                self._set(self._standby.load(self._taxonomy), None)
        self._is_begun = True
        self._alarm(NO_RELEASE, "" if self.live.champion else "no release is live: everything is handed off")

    def _follow(self, version: str | None, standing: Champion | None) -> Champion | None:
        """Return the release that is ``version``, None where there is none or it is refused."""
        if version is None or version in self._refused:
            return None
        if standing and standing.version == version:
            return standing
        found = self._find_loaded(version) or self._load(version)
        if isinstance(found, str):
            self._refused[version] = found
            return None
        return found

    def _set(self, champion: Champion | None, challenger: Champion | None) -> None:
        """Let these answer from now on; what does not change stays the same object."""
        before = self.live
        if champion is not before.champion:
            self._previous = before.champion or self._previous
            was = before.champion.version if before.champion else "none"
            _LOG.warning("release %s is live in place of %s", champion.version if champion else "none", was)
        if champion is before.champion and challenger is (before.pair.challenger if before.pair else None):
            return
        pair = None
        if champion and challenger and champion.version != challenger.version:
            pair = Pair(champion, challenger)
        self.live = Live(champion, pair)

    def _find_loaded(self, version: str) -> Champion | None:
        known = (self.live.champion, self.live.pair.challenger if self.live.pair else None, self._previous)
        return next((each for each in known if each and each.version == version), None)

    def _load(self, version: str) -> Champion | str:
        """Return a release that may go live, or why it may not; a registry that is down is no such reason."""
        about = self._registry.version(RELEASE, version)
        if about.tags.get(PARITY_TAG) != PASSED:
            return f"release {version} is refused: it did not answer alike when it was registered"
        folder = self._registry.download(RELEASE, version)
        found = load_alike(folder, self._taxonomy, about.tags.get(ANSWERS_TAG))
        return f"release {version} is refused: {found}" if isinstance(found, str) else Champion(version, found)
