"""The labelling page and its guide, rendered from the taxonomy: a further task or label appears by itself."""

from collections.abc import Iterator, Mapping
from html import escape
from itertools import islice
from types import MappingProxyType
from typing import Final
from xml.sax.saxutils import quoteattr

from labeling.taxonomy import Label, Task, Taxonomy
from labeling.vocabulary import CANNOT_TELL, NONE_OF_THESE

DIALOGUE: Final = "dialogue"
"""The name of the page's one object; every answer points at it."""

TITLES: Final[Mapping[str, str]] = MappingProxyType({NONE_OF_THESE: "None of these", CANNOT_TELL: "Cannot tell"})
_OTHERWISE: Final = "Otherwise"

_DIGITS, _TOP, _HOME, _BOTTOM = "1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"
_PUNCTUATION: Final = ("-", "=", "[", "]", ";", "'", ",", ".", "/")
_SMALL: Final = len(_BOTTOM)


def _shifted(row: str) -> tuple[str, ...]:
    return tuple(f"shift+{key}" for key in row)


_ROWS: Final = (
    *(tuple(row) for row in (_DIGITS, _TOP, _HOME)),
    *(_shifted(row) for row in (_DIGITS, _TOP, _HOME, _BOTTOM)),
    _PUNCTUATION,
)
_SMALL_ROWS: Final = (tuple(_BOTTOM), _shifted(_BOTTOM), _PUNCTUATION, _shifted(_HOME), _shifted(_TOP))

_STYLE: Final = """
.cx-page h4 { font-size: 15px !important; line-height: 20px !important; margin: 8px 0 2px !important; }
.cx-page h4, .cx-page label { overflow-wrap: anywhere; }
.cx-page label { font-size: 13px; line-height: 18px; }
.cx-top { display: grid; grid-template-columns: 3fr 2fr; gap: 20px; }
.cx-talk { display: flex; flex-direction: column-reverse; max-height: 45vh; overflow-y: auto; }
.cx-talk [class*="dialoguetext"] { white-space: pre-wrap; overflow-wrap: anywhere; }
.cx-talk [class*="time--"], .cx-talk [class*="authorFilter"], .cx-talk [class*="selectAllBtn"] { display: none; }
.cx-about { white-space: pre-line; }
.cx-about h4 + h4 { font-size: 13px !important; font-weight: 400 !important; }
.cx-grid { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 2px 14px; }
.cx-row { display: flex; flex-wrap: wrap; gap: 2px 18px; }
"""
"""Label Studio's class names end in a hash, hence partial matches; where one changes, the page only looks worse.

The dialogue scrolls by itself and starts at its end, where the message in question stands.
"""


def groups(task: Task) -> list[tuple[str, tuple[str, ...]]]:
    """Return the answers of ``task`` by domain, in the order of the taxonomy; the reserved answers come last."""
    domains: dict[str, list[str]] = {}
    for label in task.labels:
        domains.setdefault(label.domain, []).append(label.name)
    reserved = task.answers[len(task.labels) :]
    return [*((domain, tuple(names)) for domain, names in domains.items()), (_OTHERWISE, reserved)]


def page_keys(taxonomy: Taxonomy) -> dict[str, dict[str, str]]:
    """Return task → answer → key. A key never moves between cases and never stands for two answers.

    A task with at most seven answers takes one row of letters. A larger one gets a key row for each of its domains,
    so that hands learn where a domain lies; where the rows are too few, the keys are dealt out in order instead.
    Answers that are left without a key (more labels than keys) can still be clicked.
    """
    keys: dict[str, dict[str, str]] = {}
    taken: set[str] = set()
    for task in sorted(taxonomy.tasks, key=lambda task: not _is_small(task)):
        rows = _SMALL_ROWS if _is_small(task) else _ROWS
        free = [tuple(key for key in row if key not in taken) for row in rows]
        keys[task.name] = _assign(task, [row for row in free if row])
        taken |= set(keys[task.name].values())
    return keys


def _assign(task: Task, rows: list[tuple[str, ...]]) -> dict[str, str]:
    if _is_small(task):
        fitting = next((row for row in rows if len(row) >= len(task.answers)), ())
        return dict(zip(task.answers, fitting, strict=False))
    return _by_domain(task, rows) or dict(zip(task.answers, (key for row in rows for key in row), strict=False))


def _by_domain(task: Task, rows: list[tuple[str, ...]]) -> dict[str, str] | None:
    """Give each domain rows of its own; None where there are too few rows."""
    left: Iterator[tuple[str, ...]] = iter(rows)
    keys: dict[str, str] = {}
    for _, names in groups(task):
        waiting = iter(names)
        while batch := list(islice(waiting, 0, 1)):
            row = next(left, None)
            if row is None:
                return None
            batch += islice(waiting, len(row) - 1)
            keys |= dict(zip(batch, row, strict=False))
    return keys


def render_page(taxonomy: Taxonomy) -> str:
    """Return the labelling page as Label Studio's XML: the dialogue, what is known beside it, one control a task.

    The page reads ``$dialogue`` (a list of author and text), ``$suggested`` and ``$about`` (texts) from a case. The
    answers are the taxonomy's names; its titles are only shown. There is no filter box: in it Ctrl+Enter would pick
    the first label again and undo a correction silently.
    """
    keys = page_keys(taxonomy)
    small = [task for task in taxonomy.tasks if _is_small(task)]
    large = [task for task in taxonomy.tasks if not _is_small(task)]
    return (
        f'<View className="cx-page"><Style>{_STYLE}</Style><View className="cx-top"><View className="cx-talk">'
        f'<Paragraphs name="{DIALOGUE}" value="${DIALOGUE}" layout="dialogue" nameKey="author" textKey="text"/></View>'
        '<View><View className="cx-about"><Header size="5" value="$suggested"/><Header size="6" value="$about"/></View>'
        f"{''.join(_control(task, keys[task.name]) for task in small)}</View></View>"
        f"{''.join(_control(task, keys[task.name]) for task in large)}</View>"
    )


def _is_small(task: Task) -> bool:
    return len(task.answers) <= _SMALL


def _control(task: Task, keys: Mapping[str, str]) -> str:
    titles = answer_titles(task)

    def choice(name: str) -> str:
        key = f" hotkey={quoteattr(keys[name])}" if name in keys else ""
        return f'<Choice alias="{name}" value={_attribute(titles[name])}{key}/>'

    if _is_small(task):
        body = f'<View className="cx-row">{"".join(choice(name) for name in task.answers)}</View>'
    else:
        blocks = (
            f'<View><Header size="6" value={_attribute(domain)}/>{"".join(choice(name) for name in names)}</View>'
            for domain, names in groups(task)
        )
        body = f'<View className="cx-grid">{"".join(blocks)}</View>'
    missing = _attribute(f"Please answer: {task.question}")
    return (
        f'<Header size="5" value={_attribute(task.question)}/>'
        f'<Choices name="{task.name}" toName="{DIALOGUE}" choice="single" required="true" requiredMessage={missing}>'
        f"{body}</Choices>"
    )


def answer_titles(task: Task) -> dict[str, str]:
    """Return answer → what the page calls it; a title that two labels share is followed by the label's name."""
    titles = [label.title for label in task.labels]
    shown = {
        label.name: label.title if titles.count(label.title) == 1 else f"{label.title} ({label.name})"
        for label in task.labels
    }
    return shown | {name: TITLES[name] for name in task.answers if name in TITLES}


def _attribute(text: str) -> str:
    """Quote ``text`` for an attribute; a dollar sign would be read as the start of a variable."""
    return quoteattr(text.replace("$", "\N{FULLWIDTH DOLLAR SIGN}"))


def render_guide(taxonomy: Taxonomy) -> str:
    """Return the labelling guide as HTML: how to work by keyboard, then each label with its meaning and examples."""
    keys = page_keys(taxonomy)
    parts = [
        "<p>Read the conversation, then answer every question about the customer's <b>last</b> message. The model's "
        "suggestion is already selected where there is one: it is often wrong, so read first. "
        "<b>Ctrl+Enter</b> submits; one key changes an answer; pressing the key of a selected answer again unselects "
        "it. Choose “Cannot tell” where nobody could know. Skip only what you should not read.<br><br></p>"
    ]
    for task in taxonomy.tasks:
        parts.append(f"<h3>{escape(task.question)}</h3><br>")
        parts.extend(_explain(label, keys[task.name].get(label.name)) for label in task.labels)
    return "".join(parts)


def _explain(label: Label, key: str | None) -> str:
    """Return one label's paragraph; Label Studio takes styles out of the guide and margins off its paragraphs."""
    shown = f" <code>[{escape(key)}]</code>" if key else ""
    examples = "".join(f"<br><i>“{escape(example)}”</i>" for example in label.examples)
    return f"<p><b>{escape(label.title)}</b>{shown} {escape(label.description)}{examples}<br><br></p>"
