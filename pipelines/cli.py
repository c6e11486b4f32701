"""The ``cxloop`` command: one file a command in ``pipelines.commands``, errors as one message and exit code 1."""

import gc
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer

from labeling.errors import CxloopError
from pipelines.terminal import say_error

_HELP: Final = (
    "Turn what people correct into better intent and sentiment models.\n\n"
    "Messages come in, agents correct them, doubtful ones go to Label Studio, the answers train challengers, gates "
    "judge them, and a reviewer's approval makes one the champion. Start with [bold]cxloop demo[/bold] (a fictional "
    "company's four weeks) or [bold]cxloop init[/bold] (your own). Everything lies in one folder: $CXLOOP_HOME, or "
    ".cxloop in the working folder."
)

_START: Final = "Start"
_WORK: Final = "Every day"
_DECIDE: Final = "Decide"

_COMMANDS: Final = {
    "demo": _START,
    "replay": _START,
    "backtest": _START,
    "init": _START,
    "up": _WORK,
    "serve": _WORK,
    "status": _WORK,
    "collect": _WORK,
    "erase": _WORK,
    "run": _WORK,
    "train": _WORK,
    "challengers": _DECIDE,
    "compare": _DECIDE,
    "promote": _DECIDE,
    "reject": _DECIDE,
    "more-evidence": _DECIDE,
    "waive": _DECIDE,
    "rollback": _DECIDE,
    "history": _DECIDE,
}
"""Each command's panel in ``--help``; the function is ``pipelines.commands.NAME.NAME``, its imports are lazy.

A name of two words stands here as it is typed; its module has "_" for "-".
"""

app = typer.Typer(
    name="cxloop",
    help=_HELP,
    rich_markup_mode="rich",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"cxloop {version('cxloop')}")
        raise typer.Exit


@app.callback()
def cxloop(
    asked: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Hold what every command shares."""


def _command(name: str) -> Callable[..., Any]:
    module = name.replace("-", "_")
    return getattr(import_module(f"pipelines.commands.{module}"), module)


for _name, _panel in _COMMANDS.items():
    app.command(_name, rich_help_panel=_panel)(_command(_name))

for _name, _panel in {
    "audit": _DECIDE,
    "config": _WORK,
    "keys": _WORK,
    "policy": _WORK,
    "quarantine": _WORK,
    "review": _WORK,
    "reviewers": _DECIDE,
    "taxonomy": _DECIDE,
}.items():
    app.add_typer(import_module(f"pipelines.commands.{_name}").app, name=_name, rich_help_panel=_panel)


def main() -> None:
    """Run the command; foreseen errors become one message without a traceback, and exit code 1."""
    from pipelines.environment import prepare_environment

    prepare_environment()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # libraries' advice to their callers is no news for who runs a command
    try:
        app()
    except CxloopError as error:
        say_error(str(error))
        sys.exit(1)
    finally:
        gc.freeze()  # else Python, on its way out, looks through all that MLflow imported: a second
