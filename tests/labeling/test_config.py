import pytest
from pydantic import Field

from labeling.config import Config, load_config, parse_config
from labeling.errors import ConfigError


class Inner(Config):
    share: float = Field(ge=0, le=1)


class Section(Config):
    name: str
    inner: Inner
    parts: tuple[Inner, ...] = ()


def test_a_good_file_loads_and_is_frozen(tmp_path):
    path = tmp_path / "good.yaml"
    path.write_text("name: é\ninner: {share: 0.5}\n", encoding="utf-8")
    section = load_config(path, Section)
    assert (section.name, section.inner.share) == ("é", 0.5)
    with pytest.raises(ValueError, match="frozen"):
        section.name = "other"


def test_every_fault_is_reported_at_once_with_file_and_place():
    raw = {"name": 1, "inner": {"share": 2}, "parts": [{"share": 0}, {"shar": 0}], "unknown": 1}
    with pytest.raises(ConfigError) as caught:
        parse_config(raw, Section, name="some.yaml")
    places = sorted(fault.split(": ")[1] for fault in caught.value.faults)
    assert places == ["inner.share", "name", "parts.1.shar", "parts.1.share", "unknown"]
    assert all(fault.startswith("some.yaml: ") for fault in caught.value.faults)
    assert str(caught.value).startswith("5 configuration faults:")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "the whole file"),
        (b"- 1\n", "the whole file"),
        (b"name: [\n", "line 2: not YAML"),
        (b"name: \tx\n\t- y: z", "not YAML"),
        (b"name: \x00\n", "not YAML"),
        (b"name: \xff\n", "cannot be read"),
        (b"name: !!python/object/apply:os.getcwd []\n", "not YAML"),
    ],
)
def test_what_is_not_yaml_of_the_section_is_a_fault(tmp_path, content, fault):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=fault) as caught:
        load_config(path, Section)
    assert caught.value.faults[0].startswith("bad.yaml: ")


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        load_config(tmp_path / "gone.yaml", Section)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path, Section)
