"""Every setting of one home, loaded together so that all faults are told at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import Field, field_validator

from labeling.config import Config, Section, load_config
from labeling.errors import ConfigError
from labeling.selection.policy import SelectionPolicy
from labeling.sources.redaction import RedactionRules
from labeling.sources.source import SourcesConfig
from labeling.taxonomy import Taxonomy
from serving.gateway.config import GATEWAY, GatewayConfig
from serving.gateway.keys import API_KEYS, ApiKeys
from serving.handoff.config import HandoffConfig
from serving.notices import NoticesConfig
from training.judging.gates import GatePolicy
from training.recipe import Recipe
from training.registry.people import REVIEWERS, People

Port = Field(ge=1, le=65535)


class LabelStudioSettings(Config):
    """Where Label Studio is; an empty ``url`` means one that the command starts on ``port``."""

    url: str = ""
    port: int = Port


class MlflowSettings(Config):
    """Where MLflow is; an empty ``tracking_uri`` means SQLite in the home. ``port`` is its page's."""

    tracking_uri: str = ""
    port: int = Port


class DagsterSettings(Config):
    """The port of Dagster's page."""

    port: int = Port


class ReportsSettings(Config):
    """Where the home's reports are pages; an empty ``url`` means that ``cxloop up`` serves them on ``port``."""

    url: str = ""
    port: int = Field(default=3010, ge=1, le=65535)

    @property
    def address(self) -> str:
        """Where the pages are, without a slash at the end."""
        return self.url.rstrip("/") or f"http://127.0.0.1:{self.port}"


class ReviewersSettings(Config):
    """Where the reviewers' page is; an empty ``url`` means that ``cxloop up`` serves it on ``port``."""

    url: str = ""
    port: int = Field(default=3020, ge=1, le=65535)


class RegistrySettings(Config):
    """``put_right``: whether aliases and tags that were moved by hand are put back, or only the alarm is raised."""

    put_right: bool = True


class ScheduleSettings(Config):
    """When each job runs, as cron strings in UTC."""

    collect: str
    review: str
    retrain: str
    maintain: str

    @field_validator("*")
    @classmethod
    def _check_cron(cls, cron: str) -> str:
        import dagster as dg

        try:
            dg.ScheduleDefinition(job_name="any", cron_schedule=cron)
        except dg.DagsterInvalidDefinitionError:
            raise ValueError(f"needs a cron string of five fields, found {cron!r}") from None
        return cron


class RetrainSettings(Config):
    """When and how to retrain: after ``min_new_labels`` settled labels (>= 1), with the recipe of that name.

    ``task_recipes`` names another recipe for single tasks.
    ``cache_gigabytes`` is the most that what frozen layers say of texts may take on disk; 0 keeps nothing.
    """

    min_new_labels: int = Field(ge=1)
    recipe: str
    task_recipes: dict[str, str] = Field(default_factory=dict)
    cache_gigabytes: float = Field(default=4.0, ge=0)


class CollectSettings(Config):
    """``max_quarantined_share`` in [0, 1]: more refused rows than this in one run stop what comes after."""

    max_quarantined_share: float = Field(ge=0, le=1)


class RetentionSettings(Config):
    """For how many days rows are kept, by table; 0 means for ever.

    With an interaction goes everything that hangs on it: predictions, corrections, reviews, labels, features, its case
    at the desk. Days count from when it occurred; of a quarantined row, from when it was refused; of a segment of the
    gateway's log, from when it was last written to, and it stays until it was taken in.
    """

    interactions: int = Field(default=0, ge=0)
    predictions: int = Field(default=0, ge=0)
    corrections: int = Field(default=0, ge=0)
    escalations: int = Field(default=0, ge=0)
    context_feedback: int = Field(default=0, ge=0)
    quarantine: int = Field(default=0, ge=0)
    gateway_log: int = Field(default=0, ge=0)


class ServiceSettings(Config):
    """``settings.yaml``: services, schedules and thresholds of one home."""

    schema_version: int = Field(ge=1, le=1)
    label_studio: LabelStudioSettings
    mlflow: MlflowSettings
    dagster: DagsterSettings
    reports: ReportsSettings = ReportsSettings()
    reviewers: ReviewersSettings = ReviewersSettings()
    registry: RegistrySettings = RegistrySettings()
    schedules: ScheduleSettings
    retrain: RetrainSettings
    collect: CollectSettings
    retention: RetentionSettings = RetentionSettings()


@dataclass(frozen=True)
class Settings:
    """Everything that a home's configs folder says."""

    services: ServiceSettings
    taxonomy: Taxonomy
    selection: SelectionPolicy
    gates: GatePolicy
    handoff: HandoffConfig
    notices: NoticesConfig
    redaction: RedactionRules
    sources: SourcesConfig
    people: People
    gateway: GatewayConfig
    api_keys: ApiKeys
    recipes: Mapping[str, Recipe]

    @property
    def recipe(self) -> Recipe:
        """The recipe of every task that has none of its own."""
        return self.recipes[self.services.retrain.recipe]

    def recipe_for(self, task: str, *, named: str = "") -> Recipe:
        """Return the recipe called ``named``; where that is empty, the one that ``task`` is retrained with.

        Raises:
            ConfigError: there is no such file.
        """
        name = named or self.services.retrain.task_recipes.get(task, self.services.retrain.recipe)
        if name not in self.recipes:
            raise ConfigError([f"recipes/{name}.yaml is needed, found {', '.join(self.recipes)}: name one of these"])
        return self.recipes[name]


SECTIONS: Final[dict[str, type[Config]]] = {
    "settings.yaml": ServiceSettings,
    "taxonomy.yaml": Taxonomy,
    "selection.yaml": SelectionPolicy,
    "gates.yaml": GatePolicy,
    "handoff.yaml": HandoffConfig,
    "notices.yaml": NoticesConfig,
    "redaction.yaml": RedactionRules,
    "sources.yaml": SourcesConfig,
    REVIEWERS: People,
    GATEWAY: GatewayConfig,
    API_KEYS: ApiKeys,
}
"""The files of a home's configs folder and what each is read as; ``recipes/*.yaml`` come beside them."""

_NEWER: Final = frozenset({"notices.yaml", REVIEWERS, GATEWAY, API_KEYS})
"""Files that homes made by an older cxloop lack; without them nobody is told, and nobody may decide or ask."""


@dataclass
class _Reader:
    """Loads sections one by one and keeps the faults, so that one bad file does not hide another."""

    folder: Path
    faults: list[str] = field(default_factory=list)

    def load(self, name: str, section: type[Section]) -> Any:
        if name in _NEWER and not (self.folder / name).exists():
            return section()
        try:
            return load_config(self.folder / name, section)
        except ConfigError as error:
            self.faults.extend(f"{Path(name).parent / fault}" for fault in error.faults)
            return None


def load_settings(configs: Path) -> Settings:
    """Load every YAML of a home's configs folder.

    Raises:
        ConfigError: holds every fault of every file, and every contradiction between two files.
    """
    reader = _Reader(configs)
    found = {name: reader.load(name, section) for name, section in SECTIONS.items()}
    recipes = {
        path.stem: reader.load(f"recipes/{path.name}", Recipe) for path in sorted(configs.glob("recipes/*.yaml"))
    }
    services = found["settings.yaml"]
    if services:
        reader.faults.extend(_find_recipe_faults(services.retrain, list(recipes), found["taxonomy.yaml"]))
    for name in ("gates.yaml", "handoff.yaml"):
        if found["taxonomy.yaml"] and found[name]:
            reader.faults.extend(f"{name}: {fault}" for fault in found[name].find_faults(found["taxonomy.yaml"]))
    if reader.faults:
        raise ConfigError(reader.faults)
    return Settings(*(found[name] for name in SECTIONS), recipes=recipes)


def _find_recipe_faults(retrain: RetrainSettings, recipes: Sequence[str], taxonomy: Taxonomy | None) -> Iterator[str]:
    known = ", ".join(recipes) or "none"
    named = {"recipe": retrain.recipe} | {f"task_recipes.{task}": name for task, name in retrain.task_recipes.items()}
    for where, name in named.items():
        if name not in recipes:
            yield f"settings.yaml: retrain.{where}: needs a file of recipes/ ({known}), found {name!r}"
    for task in retrain.task_recipes:
        if taxonomy and task not in taxonomy.task_names:
            tasks = ", ".join(taxonomy.task_names)
            yield f"settings.yaml: retrain.task_recipes: needs tasks of taxonomy.yaml ({tasks}), found {task!r}"
