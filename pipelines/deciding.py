"""A person's decision by command: who they are, by their token, and what it is decided on."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from labeling.config import load_config, parse_config, read_yaml
from labeling.errors import DecisionRefused, NotAllowed
from labeling.taxonomy import Taxonomy
from pipelines.commands.options import open_home

if TYPE_CHECKING:
    from assets.settings import MlflowSettings
    from labeling.home import Home
    from training.registry.decisions import Applied, Kind
    from training.registry.people import People, Person
    from training.registry.standing import Standing

SHORT: Final = 12
"""So many digits of a digest are shown, and enough to name a case file."""


def decide(
    kind: "Kind",
    version: str,
    note: str,
    *,
    home: Path | None,
    reviewer: str = "",
    case_file: str = "",
    gate: str = "",
) -> "Applied":
    """Have the person whose token is in the environment decide.

    Args:
        kind: of the decision.
        version: on which release; "" for the champion.
        note: why.
        home: whose releases.
        reviewer: who the token must be of; "" for whomever it is.
        case_file: how the digest of the case file begins that was looked at; "" for whichever stands now.
        gate: what is waived.

    Raises:
        NotAllowed: the token is nobody's, another's, a reader's, or its owner is an author.
        DecisionRefused: the decision cannot be taken; says why.
        CxloopError: registry, ledger or case file are not in order.
    """
    from assets.services import mlflow_registry
    from training.registry.decisions import Decision, apply_decision
    from training.registry.ledger import Ledger
    from training.registry.people import load_people

    folder = open_home(home)
    people = load_people(folder.configs)
    person = identify(people, reviewer)
    standing = read_home(folder)
    decision = Decision(
        kind=kind,
        version=version or _name_champion(standing),
        reviewer=person.name,
        note=note,
        at=datetime.now(UTC),
        case_file=_complete(case_file, version, standing),
        gate=gate,
    )
    return apply_decision(
        decision,
        people=people,
        ledger=Ledger(folder.ledger_path),
        registry=mlflow_registry(folder, _mlflow_settings(folder)),
        case_files=folder.case_files,
        taxonomy=load_config(folder.configs / "taxonomy.yaml", Taxonomy) if kind == "approve" else None,
    )


def _mlflow_settings(home: "Home") -> "MlflowSettings":
    """Return where the registry is; of all settings that alone, so that no other fault stands in a rollback's way."""
    from assets.settings import MlflowSettings

    name = "settings.yaml"
    raw = read_yaml(home.configs / name)
    return parse_config(raw.get("mlflow") if isinstance(raw, dict) else None, MlflowSettings, name=f"{name}: mlflow")


def identify(people: "People", reviewer: str) -> "Person":
    """Return whose token is in the environment.

    Raises:
        NotAllowed: there is none, it is nobody's, or it is not of ``reviewer`` where one is named.
    """
    from training.registry.people import TOKEN
    from training.registry.tokens import normalise_name

    person = people.identify_token(os.environ.get(TOKEN, ""))
    if reviewer and normalise_name(reviewer) != normalise_name(person.name):
        raise NotAllowed(
            f"--reviewer needs the name of whose token {TOKEN} is, which is {person.name}: leave the option out, or "
            "use your own token"
        )
    return person


def read_home(home: "Home") -> "Standing":
    """Return where the releases of ``home`` stand."""
    from training.registry.ledger import Ledger
    from training.registry.standing import read_standing

    return read_standing(Ledger(home.ledger_path).entries())


def _name_champion(standing: "Standing") -> str:
    """Return the version to take back: the one that a rollback began with, where its aliases have not moved yet."""
    if standing.champion is None:
        raise DecisionRefused("a rollback needs a champion, the ledger has none: retrain, then promote the challenger")
    return standing.rollback.taken if standing.rollback else standing.champion


def _complete(beginning: str, version: str, standing: "Standing") -> str:
    """Return the digest that stands for ``version`` where it begins so; else what was given, which will be refused."""
    judged = standing.judged.get(version)
    stands = judged.body["case_file"] if judged else ""
    return stands if len(beginning) >= SHORT and stands.startswith(beginning) else beginning
