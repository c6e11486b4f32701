"""reviewers.yaml, changed by the command: people come and go, all else in the file stays."""

import pytest

from assets.settings import load_settings
from labeling.errors import ConfigError, NotAllowed
from labeling.home import Home
from pipelines.new_home import make_home
from pipelines.people_file import add_person, remove_person
from training.registry.people import load_people

_OWN = "# ours\nschema_version: 1\npeople:\n- {name: old, role: reader}\n\nrequired_approvals: 2  # two\n"


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    make_home(home, profile="local", check=load_settings)
    return home


def test_people_come_get_another_token_and_go(home):
    first, _ = add_person(home, "Ada", accounts=["ada@example.org"])
    add_person(home, "ben", role="reader")
    people = load_people(home.configs)
    assert people.identify_token(first).accounts == ("ada@example.org",)
    assert [entry.role for entry in people.people] == ["reviewer", "reader"]

    second, entry = add_person(home, "ada", renew=True)
    assert (entry.name, entry.accounts) == ("Ada", ("ada@example.org",))
    assert load_people(home.configs).identify_token(second).name == "Ada"
    with pytest.raises(NotAllowed):
        load_people(home.configs).identify_token(first)

    remove_person(home, "ADA")
    assert [entry.name for entry in load_people(home.configs).people] == ["ben"]
    assert first not in (home.configs / "reviewers.yaml").read_text()


def test_the_rest_of_the_file_stays(home):
    path = home.configs / "reviewers.yaml"
    path.write_text(_OWN)
    add_person(home, "ada")
    assert path.read_text().startswith("# ours\nschema_version: 1\npeople:\n")
    assert path.read_text().endswith("required_approvals: 2  # two\n")
    for name in ("old", "ada"):
        remove_person(home, name)
    assert load_people(home.configs).people == ()


def test_an_older_home_gets_the_file(home):
    (home.configs / "reviewers.yaml").unlink()
    assert load_settings(home.configs).people.people == ()
    token, _ = add_person(home, "ada")
    assert load_settings(home.configs).people.identify_token(token).may_decide


def test_what_cannot_be_a_person_changes_nothing(home):
    add_person(home, "ada")
    before = (home.configs / "reviewers.yaml").read_text()
    for name, more, complaint in (
        ("ADA", {}, "'ADA' is there already"),
        ("ben", {"renew": True}, "nobody is called 'ben'"),
        ("ben", {"accounts": ["Ada"]}, "ada stands for two people, ada and ben"),
        ("be\nn", {}, "needs 1 to 80 printable characters"),
        ("unknown", {}, "stands for an author whom nobody knows"),
        ("", {}, "needs 1 to 80"),
    ):
        with pytest.raises(ConfigError, match=complaint):
            add_person(home, name, **more)
    with pytest.raises(ConfigError, match="nobody is called 'ben'"):
        remove_person(home, "ben")
    assert (home.configs / "reviewers.yaml").read_text() == before
