"""How others score the same model: transformers' pipeline one text by one, sentence-transformers' encode and a head.

Run as ``python -m benchmarks.harness.scoring_peers FOLDER BATCH`` with sentence-transformers' ONNX extra on the
path, it is that library's int8 backend in a process of its own, because the extra needs an older transformers: it
answers each line of JSON (a list of texts) with one (``seconds`` and ``answers``).
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Answer = Callable[[Sequence[str]], np.ndarray]
"""Returns the label number of each text."""


def save_merged(scorer: Any, folder: Path) -> None:
    """Write the merged encoder and its tokenizer as transformers has them, and a linear head beside.

    It has the right size and no training: it is there to be timed.
    """
    scorer.encoder.save_pretrained(folder)
    scorer.tokenizer.save_pretrained(folder)
    labels = len(scorer.labels)
    np.savez(folder / "head.npz", weight=np.ones((labels, scorer.encoder.config.hidden_size)), bias=np.zeros(labels))


def prepare_pipeline(folder: Path, labels: int) -> Answer:
    """Return the pipeline, one text a call; its head is untrained, too."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=labels)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    return lambda texts: np.array([int(classify(text)[0]["label"].removeprefix("LABEL_")) for text in texts])


def prepare_sentence_transformers(folder: Path, *, batch: int, int8: bool = False, max_tokens: int = 128) -> Answer:
    """Return encode (mean pooling, length 1) and head; in int8 by the library's own ONNX export for this processor."""
    from sentence_transformers import SentenceTransformer, models

    more: dict[str, Any] = {"backend": "onnx"} if int8 else {}
    reader = models.Transformer(str(folder), max_seq_length=max_tokens, **more)
    pooling = models.Pooling(reader.get_word_embedding_dimension(), "mean")
    encoder = SentenceTransformer(modules=[reader, pooling, models.Normalize()], device="cpu", **more)
    if int8:
        from sentence_transformers import export_dynamic_quantized_onnx_model

        export_dynamic_quantized_onnx_model(encoder, "avx512_vnni", str(folder))
        named = {**more, "model_args": {"file_name": "onnx/model_qint8_avx512_vnni.onnx"}}
        reader = models.Transformer(str(folder), max_seq_length=max_tokens, **named)
        encoder = SentenceTransformer(modules=[reader, pooling, models.Normalize()], device="cpu", backend="onnx")
    head = np.load(folder / "head.npz")

    def answer(texts: Sequence[str]) -> np.ndarray:
        features = encoder.encode(list(texts), batch_size=batch, show_progress_bar=False)
        return (features @ head["weight"].T + head["bias"]).argmax(axis=1)

    return answer


def main() -> None:
    """Answer lines with the int8 backend."""
    answer = prepare_sentence_transformers(Path(sys.argv[1]), batch=int(sys.argv[2]), int8=True)
    print("ready", flush=True)
    for line in sys.stdin:
        texts = json.loads(line)
        began = time.perf_counter()
        answers = answer(texts)
        print(json.dumps({"seconds": time.perf_counter() - began, "answers": answers.tolist()}), flush=True)


if __name__ == "__main__":
    main()
