"""The labelling page and its guide, rendered from the taxonomy: a further task or label appears by itself."""

from collections.abc import Mapping
from html import escape
from typing import Final
from xml.sax.saxutils import quoteattr

from labeling.desk.desk import NOTE, SECOND
from labeling.desk.page_keys import FIELD_KEYS, page_keys
from labeling.desk.page_tasks import HANDOFF_TASK, TITLES, answer_titles, groups, is_small, page_tasks
from labeling.taxonomy import Label, Task, Taxonomy
from labeling.vocabulary import CANNOT_TELL, NONE_OF_THESE

DIALOGUE: Final = "dialogue"
"""The name of the page's one object; every answer points at it."""

STEP: Final = "page-step"
"""The name of a choice that nobody sees and no answer holds: what the steps towards the fields belong to."""

_STYLE: Final = """
.lsf-sidepanels { padding: 0 !important; }
.lsf-sidepanels__wrapper { display: none; }
.cx-page h4 { font-size: 14px !important; line-height: 18px !important; margin: 4px 0 2px !important; }
.cx-page h4, .cx-page label { overflow-wrap: anywhere; }
.cx-page label { font-size: 13px; line-height: 17px; border-radius: 4px; padding-right: 4px; }
.cx-page .ant-checkbox-wrapper-checked { background: rgba(91, 111, 208, 0.2); }
.cx-page .lsf-choices, .cx-page .lsf-choice, .cx-page .lsf-choice__item { margin: 0 !important; }
.cx-page sup { font-size: 11px; line-height: 0; top: 0; vertical-align: baseline; padding-left: 3px; color: #5b6fd0; }
.cx-top { display: grid; grid-template-columns: 5fr 4fr 5fr; gap: 20px; margin-bottom: 6px; }
.cx-talk { display: flex; flex-direction: column-reverse; overflow-y: auto; }
.cx-talk [class*="dialoguetext"] { white-space: pre-wrap; overflow-wrap: anywhere; }
.cx-talk [class*="time--"], .cx-talk [class*="authorFilter"], .cx-talk [class*="selectAllBtn"] { display: none; }
.cx-talk [data-testid="phrases-wrapper"] { display: flex; flex-direction: column-reverse; }
.cx-talk [data-testid="phrase:0"] { outline: 2px solid rgba(91, 111, 208, 0.6); outline-offset: -2px; }
.cx-about { white-space: pre-line; overflow-wrap: anywhere; overflow-y: auto; }
.cx-about h4 + h4 { font-size: 13px !important; font-weight: 400 !important; }
.cx-grid { columns: 6 200px; column-gap: 14px; }
.cx-many { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 2px 14px; }
.cx-domain { break-inside: avoid; padding-bottom: 6px; }
.cx-domain h4 { margin-top: 0 !important; }
.cx-row { display: flex; flex-wrap: wrap; gap: 2px 14px; }
.cx-field { display: grid; grid-template-columns: 86px 1fr; gap: 6px; align-items: center; margin-top: 4px; }
.cx-field input { height: 28px; padding: 2px 8px; font-size: 13px; }
.cx-field .lsf-text-area, .cx-field .ant-form-item { margin: 0 !important; }
.cx-field [data-testid="textarea-regions"] { margin: 0 !important; }
.cx-step input { background: transparent; color: inherit; }
.cx-step input::placeholder { color: inherit; opacity: 0.7; }
.cx-step input:not(:placeholder-shown) { background: #d92d20; }
.cx-hidden { display: none; }
@media (max-width: 1100px) { .cx-top { grid-template-columns: 1fr 1fr; } }
"""
"""Some class names of Label Studio end in a hash, hence partial matches; where one changes, the page only looks worse.
Label Studio escapes ">" and "&" in here. On a page of 2,000 labels ``:has`` and columns made each key take a second.

The dialogue comes newest first, because Label Studio puts its focus on the first line and scrolls there; it is shown
oldest first, and scrolls by itself.
"""


_MANY: Final = 40
_SHORT, _TALL = "28vh", "44vh"
"""How much of the window the conversation may take: with 77 answers below it, and with few."""


def render_page(taxonomy: Taxonomy) -> str:
    """Return the labelling page as Label Studio's XML: the dialogue, what is known beside it, one control a question.

    The page reads ``$dialogue`` (author and text, newest first), ``$suggested``, ``$about`` and ``$handoff_question``
    (texts) from a case. The answers are the taxonomy's names; its titles are only shown. Nothing filters the answers:
    in Label Studio's filter box Ctrl+Enter picks the first label again and would undo a correction silently.
    """
    keys = page_keys(taxonomy)
    tasks = page_tasks(taxonomy)
    small = "".join(_control(task, keys[task.name]) for task in tasks if is_small(task))
    large = "".join(_control(task, keys[task.name]) for task in tasks if not is_small(task))
    share = _SHORT if max(len(task.answers) for task in tasks) > _MANY else _TALL
    style = f"{_STYLE}.cx-talk, .cx-about {{ max-height: {share}; }}"
    first = taxonomy.tasks[0]
    fields = _field(first.name + SECOND, FIELD_KEYS[SECOND], "A second answer: its key or its name, then Enter")
    fields += _field(NOTE, FIELD_KEYS[NOTE], "A short note, then Enter")
    return (
        f'<View className="cx-page"><Style>{style}</Style><View className="cx-top"><View className="cx-talk">'
        f'<Paragraphs name="{DIALOGUE}" value="${DIALOGUE}" layout="dialogue" nameKey="author" textKey="text"/></View>'
        '<View className="cx-about"><Header size="5" value="$suggested"/><Header size="6" value="$about"/></View>'
        f"<View>{small}{fields}</View></View>{large}"
        f'<View className="cx-hidden"><Choices name="{STEP}" toName="{DIALOGUE}"><Choice value="-" hotkey="f19"/>'
        "</Choices></View></View>"
    )


def _control(task: Task, keys: Mapping[str, str]) -> str:
    titles = answer_titles(task)
    has_all = len(keys) == len(task.answers)

    def choice(name: str) -> str:
        key = f" hotkey={quoteattr(keys[name])}" if name in keys else ""
        return f'<Choice alias="{name}" value={_attribute(titles[name])}{key}/>'

    if is_small(task):
        body = f'<View className="cx-row">{"".join(choice(name) for name in task.answers)}</View>'
    else:
        blocks = (
            f'<View className="cx-domain"><Header size="6" value={_attribute(domain)}/>'
            f"{''.join(choice(name) for name in names)}</View>"
            for domain, names in groups(task)
        )
        body = f'<View className="{"cx-grid" if has_all else "cx-many"}">{"".join(blocks)}</View>'
    clicked = "" if has_all else " (answers without a key: click)"
    question = '"$handoff_question"' if task is HANDOFF_TASK else _attribute(task.question + clicked)
    missing = _attribute(f"Please answer: {task.question}")
    return (
        f'<Header size="5" value={question}/>'
        f'<Choices name="{task.name}" toName="{DIALOGUE}" choice="single" required="true" requiredMessage={missing}>'
        f"{body}</Choices>"
    )


def _field(name: str, key: str, wanted: str) -> str:
    """Return a field of one line, behind a step that ``key`` goes to and that Tab leaves for the field."""
    shown = _attribute(f"{key} then Tab")
    return (
        f'<View className="cx-field"><View className="cx-step"><Filter name="{name}-step" toName="{STEP}" '
        f'hotkey={quoteattr(key)} placeholder={shown} minlength="999"/></View>'
        f'<TextArea name="{name}" toName="{DIALOGUE}" rows="1" maxSubmissions="1" editable="true" '
        f"placeholder={_attribute(wanted)}/></View>"
    )


def _attribute(text: str) -> str:
    """Quote ``text`` for an attribute; a dollar sign would be read as the start of a variable."""
    return quoteattr(text.replace("$", "\N{FULLWIDTH DOLLAR SIGN}"))


def render_guide(taxonomy: Taxonomy) -> str:
    """Return the labelling guide as HTML: how to work by keyboard, then each answer with its meaning and examples."""
    keys = page_keys(taxonomy)
    parts = [f"<p>{line}<br><br></p>" for line in _how_to_work(taxonomy)]
    for task in page_tasks(taxonomy):
        parts.append(f"<h3>{escape(task.question)}</h3><br>")
        domain = ""
        for label in task.labels:
            if label.domain != domain and not is_small(task):
                parts.append(f"<h4>{escape(label.domain)}</h4><br>")
            domain = label.domain
            parts.append(_explain(label, keys[task.name].get(label.name)))
        parts.extend(
            f"<p><b>{escape(TITLES[name])}</b>{_bracketed(keys[task.name].get(name))} {_RESERVED[name]}<br><br></p>"
            for name in task.answers[len(task.labels) :]
        )
    return "".join(parts)


_RESERVED: Final = {
    NONE_OF_THESE: "The message is clear, and about something that no answer describes: say in the note what it is.",
    CANNOT_TELL: "Nobody could know from what is there.",
}


def _how_to_work(taxonomy: Taxonomy) -> list[str]:
    """Return what everybody should know before the first case, a paragraph each."""
    second, note = (escape(FIELD_KEYS[field]) for field in (SECOND, NOTE))
    return [
        "Read the conversation, then answer every question about the customer's <b>last</b> message. Where the model "
        "suggests something, it is selected already. It is often wrong, so read first. Some cases come without a "
        "suggestion, on purpose: they show how far suggestions sway us. Some ask which of two answers is right, in an "
        "order that says nothing: one of them, both, or neither.",
        "<b>Ctrl+Enter</b> submits. One key changes an answer: each has its own, in brackets behind it, which never "
        "moves. Pressing the key of a selected answer takes it away; then press it again. <b>Ctrl+Space</b> skips: "
        "only where you should not judge, not where it is hard.",
        f"A second answer to “{escape(taxonomy.tasks[0].question)}”, where there are two: <code>{second}</code>, "
        "<b>Tab</b>, then its key or a part of its name, then <b>Enter</b>. A note: the same behind "
        f"<code>{note}</code>. Enter leaves the field, and a dash and Enter leaves one that should stay empty; until "
        "then Ctrl+Enter does nothing.",
    ]


def _explain(label: Label, key: str | None) -> str:
    """Return one label's paragraph; Label Studio takes styles out of the guide and margins off its paragraphs."""
    examples = "".join(f"<br><i>“{escape(example)}”</i>" for example in label.examples)
    return f"<p><b>{escape(label.title)}</b>{_bracketed(key)} {escape(label.description)}{examples}<br><br></p>"


def _bracketed(key: str | None) -> str:
    return f" <code>[{escape(key)}]</code>" if key else ""
