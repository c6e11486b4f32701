"""The training loop: a logistic regression first, then a LoRA adapter moves the features under it (LP-FT)."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from labeling.errors import TrainingError
from training.adapter import AdaptedEncoder
from training.batches import Progress, plan_batches
from training.calibration import fit_temperature, negative_log_likelihood
from training.encoder import Encoder
from training.heads import fit_head
from training.recipe import Recipe

if TYPE_CHECKING:
    import torch

Head = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Examples:
    """Labelled texts; ``weights`` in (0, 1]."""

    texts: Sequence[str]
    labels: Sequence[str]
    weights: Sequence[float]


@dataclass(frozen=True)
class Epoch:
    """One epoch's record: losses in nats; ``train_loss`` is NaN for epoch 0, dev values where there is no dev.

    ``dev_loss`` is taken at the temperature that is best on dev, so that it says what accuracy cannot, and not that
    confidence grew.
    """

    epoch: int
    train_loss: float
    dev_accuracy: float
    dev_loss: float


@dataclass(frozen=True)
class Finetuned:
    """A trained model in memory.

    ``chosen_epoch`` 0 is the logistic regression as it was. ``dev_logits`` (dev, labels) come from a model that has
    not seen dev, also where the final one was refitted on it; None where dev was too small to be kept apart.
    """

    adapted: AdaptedEncoder
    head: Head
    curves: tuple[Epoch, ...]
    chosen_epoch: int
    dev_logits: np.ndarray | None


def finetune(
    encoder: Encoder,
    train: Examples,
    dev: Examples,
    *,
    names: Sequence[str],
    recipe: Recipe,
    seed: int,
    on_progress: Progress | None = None,
) -> Finetuned:
    """Train a model of the labels ``names``.

    The head starts as a logistic regression on frozen features (epoch 0), then adapter and head are trained together
    (LP-FT: Kumar et al., 2022). The epoch with the best dev accuracy is kept, the smaller dev loss breaking ties
    and the earlier epoch after that; so the result is never worse on dev than the logistic regression. With
    ``recipe.refit`` the model is then trained again on train and dev for that many epochs. Where dev has fewer than
    ``recipe.min_dev`` rows it cannot choose: ``recipe.fixed_epochs`` are trained, on dev too if ``recipe.refit``.

    Chance comes from ``seed`` alone: one machine gives one result.

    Args:
        encoder: changed in place; give it one of its own.
        train: every one of ``names`` at least once.
        dev: may be empty; labels among ``names``.
        names: at least two.
        recipe: how.
        seed: of the adapter's first weights, the batches and dropout.
        on_progress: told after every epoch.

    Raises:
        TrainingError: a loss is not a number, or the encoder has no layers of the names to adapt.
    """
    adapted = AdaptedEncoder(encoder, recipe.lora, seed=seed)
    adapted.take_in([*train.texts, *dev.texts])
    loop = _Loop(adapted, train, dev, names=names, recipe=recipe, seed=seed, on_progress=on_progress)
    if len(dev.texts) < recipe.min_dev:
        rows = loop.everything if recipe.refit else loop.train_rows
        curves, head = loop.run(rows, epochs=recipe.fixed_epochs, schedule=recipe.fixed_epochs)
        return Finetuned(adapted, head, curves, recipe.fixed_epochs, None)
    choice = loop.choose()
    head = choice.head
    if recipe.refit:
        _, head = loop.run(loop.everything, epochs=choice.epoch, schedule=recipe.epochs, done=0.5)
    else:
        adapted.restore(choice.adapter)
    return Finetuned(adapted, head, choice.curves, choice.epoch, choice.dev_logits)


@dataclass(frozen=True)
class _Choice:
    epoch: int
    head: Head
    adapter: "list[torch.Tensor]"
    dev_logits: np.ndarray
    curves: tuple[Epoch, ...]


class _Loop:
    """Texts taken in, and the frozen features that every start needs, computed once for all runs."""

    def __init__(
        self,
        adapted: AdaptedEncoder,
        train: Examples,
        dev: Examples,
        *,
        names: Sequence[str],
        recipe: Recipe,
        seed: int,
        on_progress: Progress | None,
    ) -> None:
        place = {name: position for position, name in enumerate(names)}
        self._adapted, self._recipe, self._seed, self._on_progress = adapted, recipe, seed, on_progress
        self._names = names
        self._labels = [*train.labels, *dev.labels]
        self._targets = np.array([place[label] for label in self._labels])
        self._weights = np.array([*train.weights, *dev.weights], dtype=np.float64)
        self._frozen = adapted.features()
        self.everything = np.arange(len(self._labels))
        self.train_rows, self._dev_rows = np.split(self.everything, [len(train.texts)])

    def choose(self) -> _Choice:
        """Train on train, and return the best epoch on dev with its weights."""
        best: _Choice | None = None
        curves: list[Epoch] = []
        for epoch, loss, head in self._epochs(self.train_rows, self._recipe.epochs):
            logits = _logits(self._adapted.features(self._dev_rows), head)
            curves.append(self._measure(epoch, loss, logits))
            if best is None or _is_better(curves[-1], curves[best.epoch]):
                best = _Choice(epoch, head, self._adapted.state(), logits, ())
            share = epoch / max(self._recipe.epochs, 1)
            self._tell(share / 2 if self._recipe.refit else share, curves[-1])
            if epoch - best.epoch >= self._recipe.patience:
                break
        assert best is not None  # noqa: S101  (epoch 0 always comes)
        return replace(best, curves=tuple(curves))

    def run(self, rows: np.ndarray, *, epochs: int, schedule: int, done: float = 0.0) -> tuple[tuple[Epoch, ...], Head]:
        """Train on ``rows`` for the first ``epochs`` of a ``schedule`` of so many; return the curves and the last head.

        ``done`` is the share of the work that lies behind.
        """
        curves: list[Epoch] = []
        last: Head | None = None
        for epoch, loss, head in self._epochs(rows, schedule):
            curves.append(Epoch(epoch, loss, math.nan, math.nan))
            last = head
            self._tell(done + (1 - done) * (epoch / epochs if epochs else 1.0), curves[-1])
            if epoch == epochs:
                break
        assert last is not None  # noqa: S101  (epoch 0 always comes)
        return tuple(curves), last

    def _epochs(self, rows: np.ndarray, epochs: int) -> Iterator[tuple[int, float, Head]]:
        """Yield epoch number, mean training loss and head, from epoch 0 (the logistic regression, no loss)."""
        import torch

        recipe = self._recipe
        self._adapted.restore()
        labels = [self._labels[row] for row in rows]
        start = fit_head(self._frozen[rows], labels, self._weights[rows], names=self._names, recipe=recipe.head)
        yield 0, math.nan, start
        if not epochs:
            return
        device = self._adapted.parameters[0].device
        head = [torch.tensor(part, device=device, requires_grad=True) for part in start]
        rng = np.random.default_rng(self._seed)
        plans = [self._plan(rows, rng) for _ in range(epochs)]
        step = _Step(self._adapted, head, recipe, steps=sum(len(plan) for plan in plans))
        for epoch, plan in enumerate(plans, start=1):
            with _seeded(self._seed + epoch):
                losses = [step.take(batch, self._targets[batch], self._weights[batch]) for batch in plan]
            loss = float(np.average(losses, weights=[len(batch) for batch in plan]))
            if not math.isfinite(loss):
                raise TrainingError(
                    f"training needs a finite loss, found {loss} in epoch {epoch}: lower learning_rate, "
                    "or set precision to fp32 in the recipe"
                )
            weight, bias = (part.detach().cpu().numpy().copy() for part in head)
            yield epoch, loss, (weight, bias)

    def _plan(self, rows: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        lengths = self._adapted.lengths[rows]
        return [rows[batch] for batch in plan_batches(lengths, batch_tokens=self._recipe.batch_tokens, rng=rng)]

    def _measure(self, epoch: int, loss: float, logits: np.ndarray) -> Epoch:
        targets = self._targets[self._dev_rows]
        accuracy = float((logits.argmax(axis=1) == targets).mean())
        return Epoch(epoch, loss, accuracy, negative_log_likelihood(logits, targets, fit_temperature(logits, targets)))

    def _tell(self, share: float, epoch: Epoch) -> None:
        if self._on_progress:
            loss = "the logistic regression" if epoch.epoch == 0 else f"training loss {epoch.train_loss:.3f}"
            dev = "" if math.isnan(epoch.dev_accuracy) else f", dev accuracy {epoch.dev_accuracy:.1%}"
            self._on_progress(share, f"epoch {epoch.epoch}: {loss}{dev}")


class _Step:
    """One gradient step after the other: AdamW, a linear warm-up and a linear decline to zero."""

    def __init__(self, adapted: AdaptedEncoder, head: "list[torch.Tensor]", recipe: Recipe, *, steps: int) -> None:
        import torch

        self._adapted, self._head, self._recipe = adapted, head, recipe
        groups = [
            {"params": adapted.parameters, "lr": recipe.learning_rate},
            {"params": head, "lr": recipe.head_learning_rate},
        ]
        self._optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
        warmup = max(1.0, recipe.warmup_share * steps)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda step: min((step + 1) / warmup, (steps - step) / steps)
        )
        self._device = head[0].device
        self._in_bf16 = uses_bf16(recipe.precision, self._device.type)

    def take(self, rows: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
        """Take a step on ``rows`` and return their loss before it, in nats."""
        import torch

        wanted = torch.as_tensor(targets, device=self._device)
        weight = torch.as_tensor(weights, dtype=torch.float32, device=self._device)
        self._adapted.adapter.train()
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._in_bf16):
            features = self._adapted.encode(rows)
        logits = features @ self._head[0].T + self._head[1]
        losses = torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
        loss = (losses * weight).sum() / weight.sum()
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._adapted.parameters, self._recipe.max_gradient_norm)
        self._optimizer.step()
        self._schedule.step()
        return loss.item()


def uses_bf16(precision: str, device: str) -> bool:
    """Return whether to train in bf16; "auto" asks the processor, not a clock, so that runs repeat."""
    import torch

    if precision != "auto":
        return precision == "bf16"
    return torch.cuda.is_bf16_supported() if device == "cuda" else torch.cpu._is_avx512_bf16_supported()


def _is_better(one: Epoch, other: Epoch) -> bool:
    return (one.dev_accuracy, -one.dev_loss) > (other.dev_accuracy, -other.dev_loss)


def _logits(features: np.ndarray, head: Head) -> np.ndarray:
    return features @ head[0].T + head[1]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's own chance (dropout takes no other) inside the block, and put it back as it was after."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
