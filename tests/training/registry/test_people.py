"""Who somebody is: by a token, or by a proxy that is trusted. Most tests here are attempts to pass for another."""

import pytest
from argon2 import PasswordHasher, extract_parameters

from labeling.errors import ConfigError, NotAllowed
from tests.training.registry.stage import PEOPLE, TOKENS
from training.registry.people import (
    People,
    Person,
    PersonEntry,
    TrustedProxy,
    load_people,
    require_decider,
)
from training.registry.tokens import NOBODY, make_token

BEHIND_PROXY = People(
    proxy=TrustedProxy(header="X-Forwarded-User", addresses=("10.0.0.7", "fd00::/64")), people=PEOPLE.people
)


def test_a_token_says_whose_it_is_and_only_its_hash_is_kept():
    token, hashed = make_token("Zoë van Dam")
    people = People(people=(PersonEntry(name="Zoë van Dam", role="reader", token=hashed), *PEOPLE.people))
    assert people.identify_token(token) == Person("Zoë van Dam", "reader")
    assert token.rpartition("_")[2] not in people.model_dump_json()
    assert len(token.rpartition("_")[2]) == 48
    assert people.identify_token(TOKENS["cleo"]) == Person("cleo", "reviewer", ("Cleo P", "cleo@example.org"))


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "cxl_ana_",
        "cxl_ana_wrong",
        TOKENS["ben"].replace("ben", "ana", 1),
        TOKENS["ana"] + "0",
        TOKENS["ana"].removeprefix("cxl_"),
        TOKENS["ana"] + "x" * 1_000_000,
        "cxl_nobody_secret",
        "cxl_ana_\udcff",
        PEOPLE.people[0].token,
        NOBODY,
    ],
    ids=lambda token: str(token)[:24],
)
def test_a_forged_token_is_nobody_s(forged):
    with pytest.raises(NotAllowed, match="a person's token is needed") as refused:
        PEOPLE.identify_token(forged)
    assert not forged or forged not in str(refused.value)


def test_the_token_of_somebody_who_was_removed_is_nobody_s():
    left = People(people=PEOPLE.people[1:])
    with pytest.raises(NotAllowed, match="nobody’s"):
        left.identify_token(TOKENS["ana"])


def test_who_has_no_token_cannot_sign_in_with_one():
    people = People(people=(PersonEntry(name="ana", role="reviewer"),))
    with pytest.raises(NotAllowed, match="nobody’s"):
        people.identify_token(TOKENS["ana"])


def test_an_unknown_name_costs_the_work_of_a_real_one():
    assert extract_parameters(NOBODY) == extract_parameters(PasswordHasher().hash("any"))


@pytest.mark.parametrize("address", ["10.0.0.7", "::ffff:10.0.0.7", "fd00::17"])
def test_the_named_proxy_says_who_it_is(address):
    assert BEHIND_PROXY.identify_proxied("ANA", address=address).name == "ana"
    assert BEHIND_PROXY.identify_proxied("Cleo@Example.org", address=address).name == "cleo"


@pytest.mark.parametrize(
    "address", ["10.0.0.8", "127.0.0.1", "::1", "fd01::17", "10.0.0.7, 10.0.0.8", "", "testclient"]
)
def test_a_forged_header_from_another_address_is_not_believed(address):
    with pytest.raises(NotAllowed, match="needs a proxy that"):
        BEHIND_PROXY.identify_proxied("ana", address=address)


def test_without_a_named_proxy_no_header_is_believed():
    with pytest.raises(NotAllowed, match="needs a proxy"):
        PEOPLE.identify_proxied("ana", address="127.0.0.1")


@pytest.mark.parametrize("name", ["mallory", "", "ana,ben"])
def test_a_proxy_that_names_nobody_of_the_file_lets_nobody_in(name):
    with pytest.raises(NotAllowed, match="somebody who is not in"):
        BEHIND_PROXY.identify_proxied(name, address="10.0.0.7")


@pytest.mark.parametrize(
    ("author", "is_hers"),
    [
        ("CLEO", True),
        ("cleo p", True),
        ("Cleo P <other@example.org>", True),
        ("C. Pascal <Cleo@Example.org>", True),
        ("ｃｌｅｏ", True),
        ("Cleopatra", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_an_author_is_known_by_any_of_their_names(author, is_hers):
    assert PEOPLE.identify_token(TOKENS["cleo"]).is_among([author]) is is_hers


def test_only_a_reviewer_decides():
    assert require_decider(PEOPLE.find("ana")).name == "ana"
    with pytest.raises(NotAllowed, match="needs the role reviewer, rita has reader"):
        require_decider(PEOPLE.find("rita"))
    with pytest.raises(NotAllowed, match="needs somebody of"):
        require_decider(PEOPLE.find("mallory"))


def test_a_home_without_the_file_lets_nobody_decide(tmp_path):
    assert load_people(tmp_path) == People()
    (tmp_path / "reviewers.yaml").write_text("schema_version: 1\npeople: nobody\n")
    with pytest.raises(ConfigError, match=r"reviewers.yaml: people"):
        load_people(tmp_path)
