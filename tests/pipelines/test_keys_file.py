import pytest

from assets.settings import load_settings
from labeling.errors import ConfigError
from labeling.home import Home
from pipelines.keys_file import add_key, remove_key
from pipelines.new_home import make_home
from serving.gateway.keys import API_KEYS, Client, load_keys


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    make_home(home, profile="local", check=load_settings)
    return home


def test_keys_come_are_renewed_and_go(home):
    first, _ = add_key(home, "Bot", role="assistant")
    add_key(home, "desk", role="desktop")
    assert load_keys(home.configs).identify(first) == Client("Bot", "assistant")
    second, _ = add_key(home, "bot", role="monitor", renew=True)
    keys = load_keys(home.configs)
    assert keys.identify(first) is None
    assert keys.identify(second) == Client("Bot", "monitor")
    remove_key(home, "BOT")
    assert [entry.name for entry in load_keys(home.configs).keys] == ["desk"]
    text = (home.configs / API_KEYS).read_text()
    assert text.startswith("# Which programs may ask")
    assert first not in text


def test_an_older_home_gets_the_file_and_wrong_names_change_nothing(home):
    (home.configs / API_KEYS).unlink()
    assert load_settings(home.configs).api_keys.keys == ()
    add_key(home, "bot", role="assistant")
    for wrong, complaint in (
        (lambda: add_key(home, "BOT", role="desktop"), "is there already"),
        (lambda: add_key(home, "new", role="desktop", renew=True), "no key is called 'new'"),
        (lambda: add_key(home, "a\nb", role="desktop"), "printable characters"),
        (lambda: remove_key(home, "new"), "no key is called 'new'"),
    ):
        with pytest.raises(ConfigError, match=complaint):
            wrong()
    assert [entry.role for entry in load_keys(home.configs).keys] == ["assistant"]
