"""What the documents promise is there: commands, options, make targets; each settings file loads, or fails as said."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from assets.settings import SECTIONS, load_settings
from labeling.config import load_config
from labeling.errors import ConfigError
from labeling.home import Home
from pipelines.cli import app
from pipelines.commands.run import Job
from pipelines.new_home import make_home
from pipelines.packaged import CONFIG_FILES, PROFILES
from pipelines.replay.demo import DemoConfig

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
INVALID = sorted((ROOT / "tests" / "invalid").glob("*.yaml"))


def find_commands(text: str) -> Iterator[str]:
    """Yield every command that a document shows: lines of sh blocks, and code in the running text."""
    for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL):
        lines = block.replace("\\\n", " ").splitlines()
        yield from (line.partition(" #")[0].strip() for line in lines if line.strip())
    running = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    yield from (code.strip() for code in re.findall(r"`((?:cxloop|make) [^`]+)`", running))


def documented(program: str) -> list[tuple[str, str]]:
    found = []
    for document in DOCUMENTS:
        for line in find_commands(document.read_text(encoding="utf-8")):
            words = shlex.split(line.removeprefix(".venv/bin/"))
            if words and words[0] == program:
                found.append((document.name, line))
    return found


@pytest.mark.parametrize(("document", "line"), documented("cxloop"))
def test_each_documented_command_is_there_with_its_options(document: str, line: str) -> None:
    words = shlex.split(line.removeprefix(".venv/bin/"))[1:]
    command = typer.main.get_command(app)
    while words and not words[0].startswith("-") and hasattr(command, "commands"):
        assert words[0] in command.commands, f"{document}: {line}"  # type: ignore[attr-defined]
        command = command.commands[words.pop(0)]  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {word for word in words if word.startswith("--")} <= known, f"{document}: {line}"
    if command.name == "run" and words:
        assert words[0] in {*Job, "JOB"}, f"{document}: {line}"


@pytest.mark.parametrize(("document", "line"), documented("make"))
def test_each_documented_make_target_is_there(document: str, line: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    asked = {word for word in shlex.split(line)[1:] if "=" not in word}
    assert asked <= targets, f"{document}: {line}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_each_link_to_a_file_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_yaml_in_configs_loads() -> None:
    """A home of each profile loads all but the demo's (tests/pipelines/test_new_home.py); here: none is left out."""
    load_config(ROOT / "configs" / "demo.yaml", DemoConfig)
    packaged = {path.relative_to(ROOT / "configs").as_posix() for path in (ROOT / "configs").rglob("*.yaml")}
    of_profiles = {f"{profile}.yaml" for profile in PROFILES}
    of_homes = {name for name in packaged - of_profiles - {"demo.yaml"} if not name.startswith("recipes/")}
    assert of_profiles <= packaged
    assert of_homes | {"settings.yaml"} == set(SECTIONS) == {*CONFIG_FILES, "settings.yaml"}
    assert "recipes/default.yaml" in packaged


@pytest.mark.parametrize("invalid", INVALID, ids=lambda path: path.stem)
def test_each_wrong_yaml_fails_as_it_says(invalid: Path, tmp_path: Path) -> None:
    """The file's name up to ``--`` names what it replaces; its lines ``# expects:`` say what is told of it."""
    home = Home(tmp_path / "home")
    make_home(home, profile="local", check=load_settings)
    text = invalid.read_text(encoding="utf-8")
    (home.configs / f"{invalid.stem.partition('--')[0].replace('.', '/')}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings(home.configs)
    expected = re.findall(r"^# expects: (.+)$", text, flags=re.MULTILINE)
    assert expected
    assert [told for told in expected if told not in str(caught.value)] == []
