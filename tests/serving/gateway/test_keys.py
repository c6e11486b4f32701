import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from labeling.errors import ConfigError
from labeling.home import Home
from serving.gateway.config import Rates
from serving.gateway.faults import TooMany
from serving.gateway.keys import API_KEYS, ApiKeys, Client, KeyRing
from serving.gateway.limiting import RateLimits
from serving.gateway.recognising import Recogniser
from tests.serving.gateway.stage import key_of, write_keys


def run(coroutine):
    """Run in a thread of its own: a browser that other tests opened leaves a loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


@pytest.fixture
def home(tmp_path) -> Home:
    home = Home(tmp_path)
    home.configs.mkdir()
    write_keys(home)
    return home


@pytest.fixture
def ring(home) -> KeyRing:
    return KeyRing(home.configs)


def test_a_key_is_checked_once_and_recognised_from_then_on(ring, monkeypatch):
    assert ring.recall(key_of("bot")) == (False, None)
    assert ring.check(key_of("bot")) == Client("bot", "assistant")
    monkeypatch.setattr(ApiKeys, "identify", lambda *_: pytest.fail("checked again"))
    assert ring.recall(key_of("bot")) == (True, Client("bot", "assistant"))


@pytest.mark.parametrize("forged", ["", "cxl_bot_", key_of("bot") + "0", key_of("desk").replace("desk", "bot", 1), "é"])
def test_a_forged_key_is_nobody_s_and_known_as_such(ring, forged):
    assert ring.check(forged) is None
    assert ring.recall(forged) == (True, None)
    assert ring.recall(key_of("bot")) == (False, None)


def test_all_that_come_with_a_new_key_wait_for_one_check_of_it(ring, monkeypatch):
    checked, real = [], ApiKeys.identify
    monkeypatch.setattr(ApiKeys, "identify", lambda keys, token: checked.append(token) or real(keys, token))
    recogniser = Recogniser(ring, RateLimits(Rates()))

    async def come(clients: int, token: str):
        return await asyncio.gather(*(recogniser.identify(token, address="here") for _ in range(clients)))

    assert run(come(60, key_of("bot"))) == [Client("bot", "assistant")] * 60
    assert checked == [key_of("bot")]
    assert run(come(60, key_of("bot") + "0")) == [None] * 60
    assert len(checked) == 2


def test_an_address_may_not_try_many_keys(ring, monkeypatch):
    monkeypatch.setattr(ApiKeys, "identify", lambda *_: None)
    recogniser = Recogniser(ring, RateLimits(Rates()))

    async def guess() -> None:
        for number in range(30):
            assert await recogniser.identify(f"cxl_bot_{number}", address="there") is None
        with pytest.raises(TooMany, match="keys tried are taken: wait"):
            await recogniser.identify("cxl_bot_31", address="there")
        assert await recogniser.identify("cxl_bot_31", address="elsewhere") is None

    run(guess())


def test_a_key_that_was_taken_out_stops_working_at_once(home, ring):
    ring.check(key_of("bot"))
    write_keys(home, "bot")
    assert ring.recall(key_of("bot")) == (False, None)
    assert ring.check(key_of("bot")) is None
    assert ring.check(key_of("desk")) == Client("desk", "desktop")
    (home.configs / API_KEYS).unlink()
    assert ring.check(key_of("desk")) is None


def test_a_file_that_is_broken_while_serving_leaves_the_keys_of_before(home, ring):
    path = home.configs / API_KEYS
    path.write_text("keys: [")
    os.utime(path, ns=(1, 1))
    assert ring.check(key_of("bot")) == Client("bot", "assistant")
    with pytest.raises(ConfigError):
        KeyRing(home.configs)
