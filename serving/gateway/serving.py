"""Put one home's gateway together, and serve it until it is stopped."""

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np
from starlette.types import ASGIApp
from threadpoolctl import threadpool_limits

from labeling.home import Home
from labeling.sources.redaction import RedactionRules
from labeling.taxonomy import Taxonomy
from serving.gateway.alarming import Alarming
from serving.gateway.config import GatewayConfig
from serving.gateway.gateway import Gateway
from serving.gateway.handing_over import Packages
from serving.gateway.keys import KeyRing
from serving.gateway.log import EventLog
from serving.gateway.metrics import Metrics
from serving.gateway.releases import Releases
from serving.gateway.site import Site
from serving.gateway.standby import Standby
from serving.gateway.working import Worker
from training.registry.ledger import Ledger
from training.registry.registry import ModelRegistry

if TYPE_CHECKING:
    from uvicorn import Server


def open_site(
    home: Home,
    config: GatewayConfig,
    *,
    registry: ModelRegistry,
    taxonomy: Taxonomy,
    rules: RedactionRules,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Site:
    """Return what serves ``home``.

    Raises:
        HomeError: another gateway serves it, or its log cannot be written.
        ConfigError: api_keys.yaml is wrong.
    """
    metrics = Metrics()
    standby = Standby(home.standby, metrics.alarm)
    releases = Releases(registry, taxonomy, standby, follows_challenger=config.shadow_share > 0, alarm=metrics.alarm)
    keys = KeyRing(home.configs)
    log = EventLog(home.gateway_log, segment_bytes=int(config.segment_megabytes * 2**20), now=now)
    chance = np.random.default_rng()  # whoever asks must not be able to foresee it
    worker = Worker(releases, rules, shadow_share=config.shadow_share, metrics=metrics, rng=chance)
    gateway = Gateway(config, key=home.key(), worker=worker, log=log, metrics=metrics, now=now)
    packages = Packages(
        releases,
        home.tables,
        taxonomy,
        rules,
        key=home.key(),
        most=config.closed_cases,
        seconds=60 * config.closed_cases_minutes,
        now=now,
    )
    return Site(gateway, keys, releases, Alarming(Ledger(home.ledger_path), metrics, now=now), packages, taxonomy)


def make_server(app: ASGIApp, config: GatewayConfig) -> "Server":
    """Return the web server that listens as ``config`` says."""
    from uvicorn import Config, Server

    return Server(
        Config(
            app,
            host=config.address,
            port=config.port,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=config.shutdown_seconds,
        )
    )


def run(app: ASGIApp, config: GatewayConfig) -> None:
    """Serve ``app`` until SIGINT or SIGTERM; requests under way are answered before this returns.

    oneDNN keeps the code of its newest 1,024 products by their shapes, 0.1 MB each. Few shapes come again, making one
    anew costs nothing that could be measured, and with 32 of them memory stays where it is after a minute.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, _pass)  # uvicorn raises the signal again when it has ended
    with threadpool_limits(1, user_api="blas"):  # on products this small, threads cost more than they bring
        make_server(app, config).run()


def _pass(_number: int, _frame: FrameType | None) -> None:
    return
