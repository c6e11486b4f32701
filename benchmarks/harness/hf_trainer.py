"""The usual way to fine-tune a classifier with LoRA: transformers' Trainer over a PEFT model with mean pooling."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.encoder import EncoderSpec, load_encoder, pool_mean


@dataclass(frozen=True)
class PeerSettings:
    """What is tuned on the development split; everything else is the Trainer's default."""

    learning_rate: float
    batch: int
    epochs: int
    rank: int = 16
    in_bf16: bool = True
    by_length: bool = True


def train_peer(
    texts: Sequence[str],
    targets: np.ndarray,
    settings: PeerSettings,
    *,
    seed: int,
    measure: Callable[[Any], float],
) -> list[tuple[float, float]]:
    """Train, and return after each epoch the seconds spent so far and what ``measure`` says.

    Before these stands when the first epoch began, with 0 for what nobody measured.

    Args:
        texts: of the training part.
        targets: the label of each as a number, (n,).
        settings: how.
        seed: of weights, batches and dropout.
        measure: given a function from texts to logits; off the clock.
    """
    import torch
    from datasets import Dataset
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    began = time.monotonic()
    encoder = load_encoder(EncoderSpec())
    model = _model(encoder.model, labels=int(targets.max()) + 1, rank=settings.rank, seed=seed)
    rows = encoder.tokenizer(list(texts), truncation=True, max_length=128)
    data = Dataset.from_dict({**rows, "labels": targets, "length": [len(ids) for ids in rows["input_ids"]]})
    clock = _clock(began, lambda: measure(_answering(model, encoder.tokenizer)))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            learning_rate=settings.learning_rate,
            per_device_train_batch_size=settings.batch,
            num_train_epochs=settings.epochs,
            train_sampling_strategy="group_by_length" if settings.by_length else "random",
            length_column_name="length",
            warmup_steps=0.1,
            bf16=settings.in_bf16,
            use_cpu=not torch.cuda.is_available(),
            seed=seed,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        collate = DataCollatorWithPadding(encoder.tokenizer)
        Trainer(model=model, args=arguments, train_dataset=data, data_collator=collate, callbacks=[clock]).train()
    return clock.points


def _model(encoder: Any, *, labels: int, rank: int, seed: int) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    names = ["query", "key", "value", "dense"]
    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.1, target_modules=names)

    class Classifier(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = get_peft_model(encoder, config)
            self.head = torch.nn.Linear(encoder.config.hidden_size, labels)

        def forward(self, input_ids: Any, attention_mask: Any, labels: Any = None, **_: Any) -> dict[str, Any]:
            hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            logits = self.head(_SCALE * pool_mean(hidden, attention_mask))
            loss = None if labels is None else torch.nn.functional.cross_entropy(logits, labels)
            return {"logits": logits} if loss is None else {"loss": loss, "logits": logits}

    return Classifier()


_SCALE = 20.0
"""Features have length 1; a head that starts at random needs larger ones to learn at the adapters' pace."""


def _answering(model: Any, tokenizer: Any) -> Callable[[Sequence[str]], np.ndarray]:
    import torch

    def answer(texts: Sequence[str]) -> np.ndarray:
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        parts = []
        model.eval()
        with torch.inference_mode():
            for at in range(0, len(texts), 64):
                some = [texts[row] for row in order[at : at + 64]]
                tokens = tokenizer(some, truncation=True, max_length=128, padding=True, return_tensors="pt")
                parts.append(model(**tokens)["logits"].float().numpy())
        model.train()
        return np.concatenate(parts)[np.argsort(order)]

    return answer


def _clock(began: float, measure: Callable[[], float]) -> Any:
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.points: list[tuple[float, float]] = []
            self._off = 0.0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.points.append((time.monotonic() - began, 0.0))

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            now = time.monotonic()
            self.points.append((now - began - self._off, measure()))
            self._off += time.monotonic() - now

    return Clock()
