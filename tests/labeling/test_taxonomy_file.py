"""A label is added to a taxonomy's YAML, and nothing else in it changes."""

from pathlib import Path

import pytest
import yaml

from labeling.config import load_config, parse_config
from labeling.errors import ConfigError
from labeling.taxonomy import Label, Taxonomy
from labeling.taxonomy_file import add_label

PACKAGED = Path(__file__).parents[2] / "configs" / "taxonomy.yaml"
SMALL = """\
# ours
schema_version: 1
version: 2   # raised by hand
tasks:
  - name: intent
    question: Why?
    rejects: true
    labels:
      - {name: refund, title: Refund}
      - name: lost_card  # not stolen
        title: Lost card

  # the mood
  - name: sentiment
    question: How?
    labels: [{name: bad, title: Bad}, {name: good, title: Good}]
migrations:
  - version: 2
    tasks:
      intent:
        rename: {card_lost: lost_card}
"""
ESIM = Label(name="esim", title="Set up an eSIM: “how”", description="On a new phone.", examples=("How does it work?",))


def test_the_label_comes_last_with_a_version_and_a_migration_and_comments_stay():
    changed = add_label(SMALL, task="intent", label=ESIM)
    taxonomy = parse_config(yaml.safe_load(changed), Taxonomy, name="t")
    assert taxonomy.task("intent").labels[-1] == ESIM
    assert taxonomy.version == 3
    assert taxonomy.migrations[-1].model_dump()["tasks"]["intent"]["add"] == ("esim",)
    assert taxonomy.migrations[0].tasks["intent"].rename == {"card_lost": "lost_card"}
    was, now = SMALL.splitlines(), changed.splitlines()
    assert [line for line in was if line not in now] == ["version: 2   # raised by hand"]
    assert "version: 3   # raised by hand" in now
    assert now.index("      - name: esim") < now.index("  # the mood")


def test_the_packaged_taxonomy_takes_one_label_after_another():
    text = PACKAGED.read_text(encoding="utf-8")
    before = load_config(PACKAGED, Taxonomy)
    changed = add_label(add_label(text, task="intent", label=ESIM), task="intent", label=Label(name="b", title="B"))
    after = parse_config(yaml.safe_load(changed), Taxonomy, name="t")
    assert after.task("intent").label_names == (*before.task("intent").label_names, "esim", "b")
    assert after.tasks[1:] == before.tasks[1:]
    assert (after.version, len(after.migrations)) == (before.version + 2, len(before.migrations) + 2)


@pytest.mark.parametrize(
    ("task", "name", "said"),
    [
        ("intent", "refund", "labels stand more than once: refund"),
        ("intent", "card_lost", "still stands among the labels"),
        ("sentiment", "so_so", "found one in brackets"),
        ("mood", "so_so", "'mood' is not among them"),
    ],
)
def test_what_cannot_be_added_is_refused(task, name, said):
    with pytest.raises(ConfigError, match=said):
        add_label(SMALL, task=task, label=Label(name=name, title="X"))


def test_an_added_label_must_be_there():
    raw = yaml.safe_load(SMALL.replace("rename: {card_lost: lost_card}", "add: [esim]"))
    with pytest.raises(ConfigError, match="nothing is called esim: it is neither a label"):
        parse_config(raw, Taxonomy, name="t")
