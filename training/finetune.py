"""The training loop: a logistic regression, a LoRA adapter that moves the features under it, and a new regression."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from labeling.errors import TrainingError
from training.adapter import AdaptedEncoder
from training.batches import Progress, plan_batches
from training.encoder import Encoder
from training.heads import Head, apply_head, calibrated_loss, choose_penalty, cut_folds, fit_head
from training.recipe import Recipe

if TYPE_CHECKING:
    import torch


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

    ``inverse_penalty`` is the head's, as chosen on rows held out. ``chosen_epoch`` 0 is the logistic regression as it
    was. ``dev_logits`` (dev, labels) come from a model that has not seen dev, also where the final one was refitted
    on it; None where dev was too small to be kept apart.
    """

    adapted: AdaptedEncoder
    head: Head
    curves: tuple[Epoch, ...]
    chosen_epoch: int
    inverse_penalty: float
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

    The head starts as a logistic regression on frozen features (epoch 0); then adapter and head are trained together
    (LP-FT: Kumar et al., 2022), and after each epoch a logistic regression on the features as they then are is the
    model's head: where labels are few, the head that was trained along has seen too little to beat it.

    Of the epochs whose dev accuracy is no lower than epoch 0's, the one of the smallest dev loss is kept, so the
    result is never worse on dev than its start. With ``recipe.refit`` the model is then trained again on train and
    dev for that many epochs. Where dev has fewer than ``recipe.min_dev`` rows it cannot choose:
    ``recipe.fixed_epochs`` are trained, on dev too if ``recipe.refit``.

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
        loop.choose_penalty(
            rows, cut_folds(loop.targets[rows], folds=recipe.head.folds, rng=np.random.default_rng(seed))
        )
        curves, head = loop.run(rows, epochs=recipe.fixed_epochs, schedule=recipe.fixed_epochs)
        return Finetuned(adapted, head, curves, recipe.fixed_epochs, loop.inverse_penalty, None)
    loop.choose_penalty(loop.everything, [loop.dev_rows])
    choice = loop.choose()
    if recipe.refit:
        _, head = loop.run(loop.everything, epochs=choice.epoch, schedule=recipe.epochs, done=0.5)
    else:
        adapted.restore(choice.adapter)
        head = loop.fit(loop.train_rows, choice.epoch)
    return Finetuned(adapted, head, choice.curves, choice.epoch, loop.inverse_penalty, choice.dev_logits)


@dataclass(frozen=True)
class _Choice:
    epoch: int
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
        self.targets = np.array([place[label] for label in (*train.labels, *dev.labels)])
        self._weights = np.array([*train.weights, *dev.weights], dtype=np.float64)
        self._frozen = adapted.features()
        self.everything = np.arange(len(self.targets))
        self.train_rows, self.dev_rows = np.split(self.everything, [len(train.texts)])
        self.inverse_penalty = math.nan

    def choose_penalty(self, rows: np.ndarray, held_out: Sequence[np.ndarray]) -> None:
        """Set the penalty of every head from the frozen features of ``rows``; ``held_out`` counts within them."""
        self.inverse_penalty = choose_penalty(
            self._frozen[rows],
            self.targets[rows],
            self._weights[rows],
            held_out=held_out,
            recipe=self._recipe.head,
        )

    def choose(self) -> _Choice:
        """Train on train, and return the best epoch on dev with its weights."""
        in_bf16 = uses_bf16(self._recipe.precision, self._adapted.parameters[0].device.type)
        best: _Choice | None = None
        curves: list[Epoch] = []
        for epoch, loss in self._epochs(self.train_rows, self._recipe.epochs):
            head = self.fit(self.train_rows, epoch, in_bf16=in_bf16)
            logits = apply_head(self._features(self.dev_rows, epoch, in_bf16=in_bf16), head)
            curves.append(self._measure(epoch, loss, logits))
            if best is None or _is_better(curves[-1], curves[best.epoch], start=curves[0]):
                best = _Choice(epoch, self._adapted.state(), logits, ())
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
        for epoch, loss in self._epochs(rows, schedule):
            curves.append(Epoch(epoch, loss, math.nan, math.nan))
            self._tell(done + (1 - done) * (epoch / epochs if epochs else 1.0), curves[-1])
            if epoch == epochs:
                break
        return tuple(curves), self.fit(rows, epochs)

    def _epochs(self, rows: np.ndarray, epochs: int) -> Iterator[tuple[int, float]]:
        """Train from the start; yield epoch and mean training loss, from epoch 0 (nothing trained yet, no loss)."""
        import torch

        self._adapted.restore()
        yield 0, math.nan
        if not epochs:
            return
        device = self._adapted.parameters[0].device
        head = [torch.tensor(part, device=device, requires_grad=True) for part in self.fit(rows, 0)]
        rng = np.random.default_rng(self._seed)
        plans = [self._plan(rows, rng) for _ in range(epochs)]
        step = _Step(self._adapted, head, self._recipe, steps=sum(len(plan) for plan in plans))
        for epoch, plan in enumerate(plans, start=1):
            with _seeded(self._seed + epoch):
                losses = [step.take(batch, self.targets[batch], self._weights[batch]) for batch in plan]
            loss = float(np.average(losses, weights=[len(batch) for batch in plan]))
            if not math.isfinite(loss):
                raise TrainingError(
                    f"training needs a finite loss, found {loss} in epoch {epoch}: lower learning_rate, "
                    "or set precision to fp32 in the recipe"
                )
            yield epoch, loss

    def _features(self, rows: np.ndarray, epoch: int, *, in_bf16: bool = False) -> np.ndarray:
        """Return the features of ``rows`` as they are now; those of epoch 0 are known."""
        return self._adapted.features(rows, in_bf16=in_bf16) if epoch else self._frozen[rows]

    def fit(self, rows: np.ndarray, epoch: int, *, in_bf16: bool = False) -> Head:
        """Fit a head on the features of ``rows`` as they are now, ``epoch`` epochs in."""
        return fit_head(
            self._features(rows, epoch, in_bf16=in_bf16),
            self.targets[rows],
            self._weights[rows],
            inverse_penalty=self.inverse_penalty,
            max_iterations=self._recipe.head.max_iterations,
        )

    def _plan(self, rows: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        lengths = self._adapted.lengths[rows]
        return [rows[batch] for batch in plan_batches(lengths, batch_tokens=self._recipe.batch_tokens, rng=rng)]

    def _measure(self, epoch: int, loss: float, logits: np.ndarray) -> Epoch:
        targets = self.targets[self.dev_rows]
        return Epoch(epoch, loss, float((logits.argmax(axis=1) == targets).mean()), calibrated_loss(logits, targets))

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


def _is_better(one: Epoch, other: Epoch, *, start: Epoch) -> bool:
    return one.dev_accuracy >= start.dev_accuracy and one.dev_loss < other.dev_loss


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's own chance (dropout takes no other) inside the block, and put it back as it was after."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
