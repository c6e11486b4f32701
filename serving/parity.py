"""Does a release that was loaded answer as the one that was judged did? Asked again wherever one goes live.

When a release is registered, what it says of a few texts of our own is noted on the version. Whoever loads it elsewhere
(another machine, another version of a library) compares.
"""

import json
from pathlib import Path
from typing import Final

from labeling.errors import CxloopError, EncoderError, ModelError
from labeling.taxonomy import Taxonomy
from serving.release import Release

ANSWERS_TAG: Final = "cxloop.answers"
"""The tag of a version that holds what the release said of ``TEXTS`` when it was registered."""

TEXTS: Final = (
    "Where is the parcel that I ordered?",
    "Thank you, that solved it!",
    "I was charged twice for the same thing and want my money back.",
    "How do I change the address on my account?",
    "This is the third time I have to explain this, and nobody helps.",
    "Please cancel my contract at the end of the month.",
    "The app closes as soon as I open it.",
    "Can I talk to a person?",
    "What does it cost to send money abroad?",
    "ok",
    "I lost my phone yesterday, please block the card.",
    "Who won the match last night?",
)
"""Our own words, nobody's message."""

TOLERANCE: Final = 0.02
"""How far a confidence may lie from what was noted: int8 and bf16 sums differ by a hundredth between processors."""

_DIGITS: Final = 6


def load_alike(folder: Path, taxonomy: Taxonomy, noted: str | None) -> Release | str:
    """Return the release in ``folder``, or in words why it may not answer.

    Args:
        folder: where it lies.
        taxonomy: today's, in whose labels it answers.
        noted: what it must still say (``note_answers``); None where nothing was noted.

    Raises:
        CxloopError: something else than the release is at fault.
    """
    try:
        release = Release.load(folder, taxonomy)
        return (find_difference(release, noted) if noted else "") or release
    except (ModelError, EncoderError) as error:
        return str(error)
    except CxloopError:
        raise
    except Exception as error:  # its message could hold anything
        return f"it cannot be loaded or asked ({type(error).__name__})"


def note_answers(release: Release) -> str:
    """Return what ``release`` says of ``TEXTS``, as ``ANSWERS_TAG`` holds it: task to [label, confidence] a text."""
    frames = {task: scores.frame() for task, scores in release.score(TEXTS).items()}
    said = {
        task: [[label, round(confidence, _DIGITS)] for label, confidence in frame.select("label", "confidence").rows()]
        for task, frame in frames.items()
    }
    return json.dumps(said, sort_keys=True, ensure_ascii=False)


def find_difference(release: Release, noted: str) -> str:
    """Return in what ``release`` differs from what was ``noted``, in words; "" where it does not.

    A label may differ only where two are about as likely: where the confidences agree and are those of a tie.
    """
    try:
        then = json.loads(noted)
        now = json.loads(note_answers(release))
        for task, answers in then.items():
            if len(now[task]) != len(answers):
                return f"{task}: {len(now[task])} answers where {len(answers)} were noted"
            for (label, confidence), (label_now, confidence_now) in zip(answers, now[task], strict=True):
                if abs(confidence - confidence_now) > TOLERANCE:
                    return f"{task}: a confidence is {confidence_now:.3f} where {confidence:.3f} was noted"
                if label != label_now and confidence > 0.5 + TOLERANCE:
                    return f"{task}: an answer is {label_now} where {label} was noted"
    except (ValueError, KeyError, TypeError):
        return "what was noted of its answers cannot be read"
    return ""
