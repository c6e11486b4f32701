"""One way of taking interactions in, in a process of its own: ``python -m benchmarks.harness.taking ARM PLACE FILE``.

It prints ``begun`` when everything that it imports has been imported, and ``done`` with the seconds since then.
"""

import logging
import os
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    """Take FILE in by the way called ARM."""
    arm, place, file = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    take = {"cxloop": prepare_cxloop, "plain": prepare_plain}[arm](place, file)
    print("begun", flush=True)
    begun = time.perf_counter()
    take()
    print(f"done {time.perf_counter() - begun}", flush=True)


def prepare_cxloop(home_path: Path, file: Path) -> Any:
    """Return the collection of ``file``, which lies in the inbox of the home already."""
    from pipelines.environment import prepare_environment

    prepare_environment()
    import_module("dlt.destinations.impl.destination.factory")
    import_module("great_expectations")
    from assets.feedback import take_in
    from assets.resources import Loop
    from labeling.tables import INTERACTIONS

    loop = Loop(home=str(home_path), desk="fake")
    if not file.is_relative_to(loop.folder.inbox):
        raise SystemExit(f"{file} has to lie in the inbox of {home_path}")
    return lambda: take_in(loop, INTERACTIONS)


def prepare_plain(folder: Path, file: Path) -> Any:
    """Return dlt's own way: its Parquet reader, each row validated by pydantic, presidio's patterns, a Delta merge."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt
    from dlt.sources.filesystem import filesystem, read_parquet
    from presidio_analyzer import RecognizerRegistry
    from presidio_analyzer.nlp_engine import NlpArtifacts
    from pydantic import BaseModel, Field, ValidationError

    class Row(BaseModel):
        interaction_id: str = Field(min_length=1, max_length=200)
        conversation_id: str = Field(min_length=1, max_length=200)
        turn: int = Field(ge=0)
        occurred_at: datetime
        updated_at: datetime
        channel: str
        language: str
        customer_id: str
        text: str = Field(min_length=1, max_length=20_000)
        handled_by: str

    logging.getLogger("tldextract").setLevel(logging.CRITICAL)  # it asks the network for a list it can do without
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"])
    patterns = [found for found in registry.recognizers if type(found).__name__ != "SpacyRecognizer"]
    nothing = NlpArtifacts([], [], [], [], None, "en")  # type: ignore[arg-type]
    now = datetime.now(UTC)

    def is_valid(row: dict) -> bool:
        try:
            return Row.model_validate(row).occurred_at <= now
        except ValidationError:
            return False

    def redact(row: dict) -> dict:
        text = row["text"]
        found = [hit for each in patterns for hit in each.analyze(text, each.supported_entities, nothing) or []]
        for hit in sorted(found, key=lambda hit: -hit.start):
            text = f"{text[: hit.start]}<{hit.entity_type}>{text[hit.end :]}"
        return {**row, "text": text}

    def take() -> None:
        rows = filesystem(bucket_url=file.parent.as_uri(), file_glob=file.name) | read_parquet()
        rows.add_filter(is_valid)
        rows.add_map(redact)
        rows.apply_hints(write_disposition="merge", primary_key="interaction_id", table_format="delta")
        destination = dlt.destinations.filesystem((folder / "lake").as_uri())
        dlt.pipeline("plain", pipelines_dir=str(folder / "dlt"), destination=destination).run(
            rows.with_name("interactions")
        )

    return take


if __name__ == "__main__":
    main()
