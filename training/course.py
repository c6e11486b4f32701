"""A course of gradient steps: adapter and head trained together, epoch by epoch, from one start."""

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from labeling.errors import TrainingError
from training.adapter import AdaptedEncoder
from training.checkpoint import Saved, stack, unstack
from training.heads import LinearHead
from training.recipe import Recipe
from training.team import Team

if TYPE_CHECKING:
    pass

_HALVINGS: Final = 8
"""A batch that does not fit into memory is halved at most so many times in all."""


@dataclass(frozen=True)
class Plan:
    """What a course goes through.

    ``batches`` holds each epoch's batches of rows; ``targets`` (n,) and ``weights`` (n,) are of all rows.
    """

    batches: Sequence[Sequence[np.ndarray]]
    targets: np.ndarray
    weights: np.ndarray
    learning_rate: float
    seed: int


class Course:
    """AdamW over a plan's batches, with a linear warm-up and a linear decline to zero at its end.

    Every epoch draws its chance (dropout) from the seed and its own number, so a course that was taken up again from
    ``saved`` ends where one that was never stopped does. Under ``torchrun`` or ``accelerate launch`` each process takes
    its share of every batch and the gradients are added up: the steps are those of one process.

    Args:
        adapted: with its texts taken in, at its start.
        head: where the head starts.
        plan: what to go through.
        recipe: how.
        team: the processes that take the steps together.
        tell: told in words what had to be changed on the way.
    """

    def __init__(
        self,
        adapted: AdaptedEncoder,
        head: LinearHead,
        plan: Plan,
        recipe: Recipe,
        *,
        team: Team,
        tell: Callable[[str], None],
    ) -> None:
        import torch

        self._adapted, self._plan, self._recipe, self._team, self._tell = adapted, plan, recipe, team, tell
        self._device = adapted.parameters[0].device
        # AdamW's fused step reads weights and moments as they lie in memory: all must lie alike, also after a resume.
        parts = [np.ascontiguousarray(part) for part in head]
        self._head = [torch.tensor(part, device=self._device, requires_grad=True) for part in parts]
        self._moved = [*adapted.parameters, *self._head]
        groups = [
            {"params": adapted.parameters, "lr": plan.learning_rate},
            {"params": self._head, "lr": recipe.head_learning_rate},
        ]
        self._optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, fused=True)
        steps = sum(len(batches) for batches in plan.batches)
        warmup = max(1.0, recipe.warmup_share * steps)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda step: min((step + 1) / warmup, (steps - step) / max(steps, 1))
        )
        self._parts = 1
        self.epoch = 0

    @property
    def head(self) -> LinearHead:
        """The head as it is now."""
        weight, bias = (part.detach().cpu().numpy().copy() for part in self._head)
        return weight, bias

    def advance(self, on_batch: Callable[[float, float], None] | None = None) -> float:
        """Train for one epoch and return its mean loss, in nats.

        Args:
            on_batch: told after each batch of the share of the epoch that is done, in (0, 1], and the batch's loss.

        Raises:
            TrainingError: a loss is not a number, or one text alone does not fit into memory.
        """
        batches = self._plan.batches[self.epoch]
        with _seeded(self._plan.seed + self.epoch + 1):
            losses = []
            for place, rows in enumerate(batches, start=1):
                losses.append(self._step(rows, place, len(batches)))
                if on_batch:
                    on_batch(place / len(batches), losses[-1])
        self.epoch += 1
        return float(np.average(losses, weights=[len(rows) for rows in batches]))

    def saved(self) -> Saved:
        """Return everything that ``resume`` needs."""
        moments = [self._optimizer.state[weight] for weight in self._moved]
        tensors = (
            stack("adapter", self._adapted.state())
            | stack("head", [part.detach() for part in self._head])
            | stack("mean", [moment["exp_avg"] for moment in moments])
            | stack("square", [moment["exp_avg_sq"] for moment in moments])
        )
        return Saved(tensors, {"epoch": self.epoch})

    def resume(self, saved: Saved) -> None:
        """Stand where ``saved`` was taken; the plan and the recipe must be the same."""
        import torch

        self.epoch = int(saved.state["epoch"])
        steps = sum(len(batches) for batches in self._plan.batches[: self.epoch])
        weights = [*unstack("adapter", saved.tensors), *unstack("head", saved.tensors)]
        moments = zip(unstack("mean", saved.tensors), unstack("square", saved.tensors), strict=True)
        with torch.no_grad():
            for weight, stored in zip(self._moved, weights, strict=True):
                weight.copy_(stored)
        for weight, (mean, square) in zip(self._moved, moments, strict=True):
            self._optimizer.state[weight] = {
                "step": torch.tensor(float(steps)),
                "exp_avg": mean.to(self._device),
                "exp_avg_sq": square.to(self._device),
            }
        self._schedule.last_epoch = steps
        for group, factor in zip(self._optimizer.param_groups, self._schedule.lr_lambdas, strict=True):
            group["lr"] = group["initial_lr"] * factor(steps)

    def _step(self, rows: np.ndarray, place: int, count: int) -> float:
        import torch

        self._adapted.adapter.train()
        loss = self._backward(rows)
        if not math.isfinite(loss):
            raise TrainingError(
                f"training needs a finite loss, found {loss} in epoch {self.epoch + 1}, batch {place} of {count}: "
                "lower learning_rate, or set precision to fp32 in the recipe"
            )
        torch.nn.utils.clip_grad_norm_(self._adapted.parameters, self._recipe.max_gradient_norm)
        self._optimizer.step()
        self._schedule.step()
        return loss

    def _backward(self, rows: np.ndarray) -> float:
        """Leave the gradient of the mean loss of ``rows``, and return that loss; in smaller parts where memory ends."""
        mine = self._team.share(rows)
        while True:
            self._optimizer.zero_grad()
            parts = [part for part in np.array_split(mine, self._parts) if len(part)]
            try:
                loss = sum(self._backward_part(part, float(self._plan.weights[rows].sum())) for part in parts)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._shrink(len(mine))
            else:
                return self._add_up(loss)

    def _add_up(self, loss: float) -> float:
        """Add up the gradients of all processes, in one message; return the sum of their losses."""
        import torch

        if self._team.size == 1:
            return loss
        own = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in self._moved]
        flat = torch.cat([*(part.reshape(-1) for part in own), torch.tensor([loss], device=self._device)])
        whole = self._team.add_up(flat)
        for weight, part in zip(
            self._moved, torch.split(whole[:-1], [len(one.reshape(-1)) for one in own]), strict=True
        ):
            weight.grad = part.reshape(weight.shape)
        return float(whole[-1])

    def _shrink(self, rows: int) -> None:
        """Cut batches into twice as many parts from here on.

        Raises:
            TrainingError: there is nothing left to cut.
        """
        if self._parts >= min(rows, 2**_HALVINGS):
            raise TrainingError(
                f"training needs memory for a part of {max(1, rows // self._parts)} texts, found none: lower "
                "encoder.max_tokens in the recipe, or train on a larger machine"
            ) from None
        self._parts *= 2
        gc.collect()
        self._tell(f"memory ran out: each batch is now taken in {self._parts} parts")

    def _backward_part(self, rows: np.ndarray, total: float) -> float:
        import torch

        wanted = torch.as_tensor(self._plan.targets[rows], device=self._device)
        weight = torch.as_tensor(self._plan.weights[rows], dtype=torch.float32, device=self._device)
        with self._adapted.autocast():
            features = self._adapted.encode(rows)
        logits = features @ self._head[0].T + self._head[1]
        losses = torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
        loss = (losses * weight).sum() / total
        loss.backward()
        return loss.item()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch says with ``error`` that an allocation failed, on a GPU or on the processor."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's own chance (dropout takes no other) inside the block, and put it back as it was after."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
