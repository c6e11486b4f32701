"""``cxloop serve``: the live API."""

from typing import Annotated

import typer

from pipelines.commands.options import HomeOption, open_home


def serve(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Instead of that of gateway.yaml.")] = None,
    home: HomeOption = None,
) -> None:
    """Answer customers' messages over HTTP with the champion, until Ctrl-C.

    Everything that is answered is recorded in the home before it counts, and `cxloop collect` takes it in. The champion
    is followed: a promotion or a rollback is live within seconds. `cxloop keys add` makes keys for those who ask; the
    API describes itself at /docs.
    """
    from assets.services import mlflow_registry
    from assets.settings import load_settings
    from labeling.sources.source import GatewaySource
    from pipelines.terminal import say, say_next
    from serving.gateway.app import make_app
    from serving.gateway.serving import open_site, run

    folder = open_home(home)
    settings = load_settings(folder.configs)
    config = settings.gateway if port is None else settings.gateway.model_copy(update={"port": port})
    site = open_site(
        folder,
        config,
        registry=mlflow_registry(folder, settings.services.mlflow),
        taxonomy=settings.taxonomy,
        rules=settings.redaction,
    )
    say(f"Gateway       http://{config.address}:{config.port}/docs", style="bold")
    if not any(isinstance(source, GatewaySource) for source in settings.sources.sources):
        say("sources.yaml has no source of the kind gateway: what is answered is recorded, but not collected.")
    say_next("`cxloop keys add NAME --role assistant` makes a key", "Ctrl-C stops it")
    run(make_app(site), config)
