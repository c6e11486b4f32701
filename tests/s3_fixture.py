"""A server that speaks S3 (moto's), once a session, on a free port of the loopback; nothing leaves the machine."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of the server."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch):
    """An fsspec file system on an empty store, and its credentials in the environment."""
    import httpx
    import s3fs

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-key-of-nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-canary-no-message-may-show")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    httpx.post(f"{s3_server}/moto-api/reset", trust_env=False)
    return s3fs.S3FileSystem(
        client_kwargs={"endpoint_url": s3_server}, skip_instance_cache=True, use_listings_cache=False
    )
