"""The exception tree: each error says what was needed, what was found and what to do, and never a customer's text."""

from collections.abc import Sequence
from typing import Any


class CxloopError(Exception):
    """Any failure that cxloop foresaw; the command prints its message without a traceback."""


class ConfigError(CxloopError):
    """One or more configuration files are wrong.

    Args:
        faults: every fault found, each ``file: place: what is wrong``; never empty.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        count = len(self.faults)
        super().__init__(f"{count} configuration fault{'s' if count != 1 else ''}:\n  " + "\n  ".join(self.faults))


class UnknownTask(CxloopError):
    """A task was asked for that the taxonomy does not have; names those that it has."""


class StorageError(CxloopError):
    """A table could not be read or written (disk full, damaged files, a newer schema version)."""


class SourceError(CxloopError):
    """A source of events is there and cannot be read; never mistaken for one that holds nothing."""


class HomeError(CxloopError):
    """The home folder is missing, busy with another run, or made for another loop."""


class ServiceError(CxloopError):
    """A program that a command starts (a page, a daemon) ended, or does not answer; names its log."""


class DeskError(CxloopError):
    """Base of everything that the labelling desk can do wrong."""


class DeskNotInstalled(DeskError):
    """No Label Studio program was found on this machine."""


class DeskUnavailable(DeskError):
    """The desk does not answer, or answers that it cannot; the step can be run again."""


class DeskRefused(DeskError):
    """The desk answered, and will answer the same again: a wrong token, a project that is not ours."""


class EncoderError(CxloopError):
    """The encoder is missing or its digest is not the expected one."""


class ModelError(CxloopError):
    """A saved model's folder is missing, damaged, or of another schema version."""


class TrainingError(CxloopError):
    """A model cannot be trained on this training set, or training went wrong (a loss that is not a number)."""


class TooFewLabels(TrainingError):
    """Labels of fewer than two kinds are left to train on: no fault, there will be more."""


class RegistryError(CxloopError):
    """The model registry cannot be reached, or lacks the version or alias that was asked for."""


class CheckFailed(CxloopError):
    """A check that guards what comes next did not pass; names it.

    ``facts`` are what each asset said of itself that was made before the check.
    """

    def __init__(self, message: str, facts: dict[str, dict[str, Any]]) -> None:
        super().__init__(message)
        self.facts = facts


class DecisionRefused(CxloopError):
    """A decision was not applied: the gates were not passed, the version is unknown, or another decision came first."""


class NotAllowed(CxloopError):
    """Somebody asked for what their role does not let them do, or could not show who they are."""


class LedgerError(CxloopError):
    """The ledger does not verify, or cannot be written."""


class NoticeError(CxloopError):
    """A notice could not be delivered, or its channel lacks something; never holds an address or a secret."""


class CaseFileError(CxloopError):
    """A case file is missing, damaged, tampered with or of another schema version, or cannot be written."""
