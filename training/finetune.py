"""The training loop: a head on frozen features, a LoRA adapter that moves them under it, and a new head."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from training.activations import ActivationCache
from training.adapter import AdaptedEncoder
from training.batches import Progress, plan_batches
from training.checkpoint import Checkpoint, Saved, named, stack, unstack
from training.course import Course, Plan
from training.encoder import Encoder
from training.heads import (
    Head,
    LinearHead,
    apply_head,
    calibrated_loss,
    choose_penalty,
    cut_folds,
    fit_head,
    fit_line,
    head_arrays,
    head_of,
)
from training.quadratic import fit_quadratic
from training.recipe import LogisticRecipe, QuadraticRecipe, Recipe, uses_bf16
from training.team import Team

if TYPE_CHECKING:
    import torch

CHOOSE: Final = "choose"
REFIT: Final = "refit"
FIXED: Final = "fixed"
WARM: Final = "warm"
_TOLD_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Examples:
    """Labelled texts; ``weights`` in (0, 1]."""

    texts: Sequence[str]
    labels: Sequence[str]
    weights: Sequence[float]


@dataclass(frozen=True)
class WarmStart:
    """An earlier model of the same labels to start from.

    ``adapter`` holds its weights under PEFT's names, ``head`` its rows in the order of the labels; None where it is
    fitted anew: a quadratic one, or one with a lexicon's numbers.
    ``is_known`` (train + dev,) says which texts, with the label that they have now, it was trained on.
    """

    adapter: "Mapping[str, torch.Tensor]"
    head: LinearHead | None
    is_known: np.ndarray


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

    ``inverse_penalty`` is the logistic regression's, as chosen on rows held out; NaN after a warm start, whose head is
    trained along where nothing is fitted, and of a quadratic head.
    ``chosen_epoch`` 0 is the start as it was. ``dev_logits`` (dev, labels) come from a model that has not seen dev,
    also where the final one was refitted on it; None where dev was too small to be kept apart. ``trained_rows`` is how
    many texts the steps of one epoch were taken on.
    """

    adapted: AdaptedEncoder
    head: Head
    curves: tuple[Epoch, ...]
    chosen_epoch: int
    inverse_penalty: float
    dev_logits: np.ndarray | None
    trained_rows: int


@dataclass(frozen=True)
class Surroundings:
    """What a training may use besides its data: every part may be left out.

    ``cache`` keeps what the frozen layers say; ``checkpoint`` lets a killed run go on; ``on_progress`` is told after
    every epoch; ``team`` are the processes that train together.
    """

    cache: ActivationCache | None = None
    checkpoint: Checkpoint | None = None
    on_progress: Progress | None = None
    team: Team = field(default_factory=lambda: Team("auto"))


def finetune(
    encoder: Encoder,
    train: Examples,
    dev: Examples,
    *,
    names: Sequence[str],
    recipe: Recipe,
    seed: int,
    warm: WarmStart | None = None,
    around: Surroundings | None = None,
) -> Finetuned:
    """Train a model of the labels ``names``.

    The head starts as a linear one fitted on frozen features (epoch 0); then adapter and head are trained together
    (LP-FT: Kumar et al., 2022), and after each epoch a head of the recipe's kind, fitted on the features as they then
    are, is the model's: where labels are few, the head that was trained along has seen too little to beat it.

    The epoch of the smallest dev loss is kept, so the result is never worse on dev than its start: of a few hundred
    texts a loss tells more than how many were answered right. With ``recipe.refit`` the model is then trained again on
    train and dev for that many epochs. Where dev has fewer than ``recipe.min_dev`` rows it cannot choose:
    ``recipe.fixed_epochs`` are trained, on dev too if ``recipe.refit``.

    A warm start begins with an earlier model's adapter and head, and each of ``recipe.warm.epochs`` epochs goes through
    the texts that it does not know and, drawn anew, ``recipe.warm.replay`` times as many that it does: what is new
    alone would be learnt at the price of the old (experience replay, Rolnick et al., 2019). A logistic head is trained
    along; a quadratic one, or one with a lexicon's numbers, is fitted on all texts at the end. Dev, most of which that
    model may have learnt, chooses nothing: it is trained on if ``recipe.refit``.

    With ``recipe.lexicon`` heads are fitted on its numbers too; steps are taken without them.

    Chance comes from ``seed`` alone: one machine gives one result, also where the run was killed and taken up again.

    Args:
        encoder: changed in place; give it one of its own.
        train: every one of ``names`` at least once.
        dev: may be empty; labels among ``names``.
        names: at least two.
        recipe: how.
        seed: of the adapter's first weights, the batches and dropout.
        warm: an earlier model of the same encoder and the same ``recipe.lora``.
        around: what it may use besides.

    Raises:
        TrainingError: a loss is not a number, memory ends, or the encoder has no layers of the names to adapt.
        ModelError: the earlier model's adapter is another one.
    """
    around = around or Surroundings()
    adapted = AdaptedEncoder(
        encoder,
        recipe.lora,
        seed=seed,
        pooled_layers=recipe.pooled_layers,
        in_bf16=uses_bf16(recipe.precision, encoder.model.device.type),
        takes_steps=recipe.takes_steps,
        lexicon=recipe.lexicon,
        cache=around.cache,
        team=around.team,
    )
    adapted.take_in([*train.texts, *dev.texts], _tell_of_reading(around))
    loop = _Loop(adapted, train, dev, names=names, recipe=recipe, seed=seed, around=around)
    if warm is not None:
        return loop.train_warm(warm)
    return loop.train_and_choose() if len(dev.texts) >= recipe.min_dev else loop.train_fixed()


def _tell_of_reading(around: Surroundings) -> Callable[[int], None]:
    """Return what tells, every few seconds, how many texts were read before the first step."""
    told, done = time.monotonic(), 0

    def tell(texts: int) -> None:
        nonlocal told, done
        done += texts
        if around.on_progress and around.team.is_first and time.monotonic() - told > _TOLD_SECONDS:
            told = time.monotonic()
            around.on_progress(0.0, f"{done:,} texts read")

    return tell


def plan_texts(recipe: Recipe, *, train: int, dev: int, new: int | None = None) -> int:
    """Return how many texts a training goes through, all epochs together, if none of them is spared.

    Args:
        recipe: how.
        train: texts of the training split.
        dev: texts of the development split.
        new: of all, how many a champion to go on from does not know; None for a training from scratch.
    """
    whole = train + dev if recipe.refit else train
    if not recipe.takes_steps:
        return whole
    if new is not None:
        return recipe.warm.epochs * (new + min(whole - new, math.ceil(recipe.warm.replay * new)))
    if dev < recipe.min_dev:
        return recipe.fixed_epochs * whole
    return recipe.epochs * (train + (whole if recipe.refit else 0))


@dataclass(frozen=True)
class _Phase:
    """One course from its start: ``rows`` of each epoch of the whole schedule, of which ``epochs`` are taken.

    ``fitted`` are the rows that a head is fitted on after an epoch; None keeps the one that was trained along.
    ``done`` and ``share`` say where its progress lies within the whole run's.
    """

    name: str
    rows: Sequence[np.ndarray]
    epochs: int
    learning_rate: float
    fitted: np.ndarray | None
    is_measured: bool = False
    done: float = 0.0
    share: float = 1.0


@dataclass(frozen=True)
class _Choice:
    """The epoch to keep so far, what the model of that epoch says of dev, and every epoch's record."""

    epoch: int
    curves: tuple[Epoch, ...]
    dev_logits: np.ndarray | None = None


@dataclass(frozen=True)
class _Best:
    """A choice and its weights."""

    choice: _Choice
    adapter: "list[torch.Tensor]"
    head: Head


class _Loop:
    """Texts taken in, and the frozen features that every cold start needs, computed once for all phases."""

    def __init__(
        self,
        adapted: AdaptedEncoder,
        train: Examples,
        dev: Examples,
        *,
        names: Sequence[str],
        recipe: Recipe,
        seed: int,
        around: Surroundings,
    ) -> None:
        place = {name: position for position, name in enumerate(names)}
        self._adapted, self._recipe, self._seed, self._around = adapted, recipe, seed, around
        self._targets = np.array([place[label] for label in (*train.labels, *dev.labels)])
        self._weights = np.array([*train.weights, *dev.weights], dtype=np.float64)
        self._everything = np.arange(len(self._targets))
        self._train_rows, self._dev_rows = np.split(self._everything, [len(train.texts)])
        self._inverse_penalty = math.nan
        self._stored = around.checkpoint.load() if around.checkpoint else None

    @cached_property
    def _frozen(self) -> np.ndarray:
        """The features of every row before any training, (n, d)."""
        self._adapted.restore()
        return self._adapted.features()

    def train_fixed(self) -> Finetuned:
        """Train for a fixed number of epochs: dev is too small to choose."""
        recipe = self._recipe
        rows = self._everything if recipe.refit else self._train_rows
        self._choose_penalty_in_folds(rows)
        best = self._run(self._cold(FIXED, rows, schedule=recipe.fixed_epochs, epochs=recipe.fixed_epochs))
        return self._finish(best, best.choice, len(rows))

    def train_and_choose(self) -> Finetuned:
        """Train on train, choose the epoch on dev, and train on both for as long where the recipe says so."""
        recipe, rows = self._recipe, self._train_rows
        if isinstance(recipe.head, LogisticRecipe):
            self._choose_penalty(self._everything, [self._dev_rows], recipe.head)
        share = 0.5 if recipe.refit else 1.0
        choice = self._stored_choice()
        if choice is None:
            phase = self._cold(CHOOSE, rows, schedule=recipe.epochs, epochs=recipe.epochs)
            best = self._run(replace(phase, is_measured=True, share=share))
            choice = best.choice
            if not recipe.refit:
                return self._finish(best, choice, len(rows))
        phase = self._cold(REFIT, self._everything, schedule=recipe.epochs, epochs=choice.epoch)
        best = self._run(replace(phase, done=share, share=share), earlier=choice)
        return self._finish(best, choice, len(self._everything))

    def train_warm(self, warm: WarmStart) -> Finetuned:
        """Train on what ``warm`` does not know and a part of what it does, from its weights on."""
        about = self._recipe.warm
        rows = self._everything if self._recipe.refit else self._train_rows
        if warm.head is None:
            self._choose_penalty_in_folds(rows)
        known, new = rows[warm.is_known[rows]], rows[~warm.is_known[rows]]
        rng = np.random.default_rng(self._seed)
        count = min(len(known), math.ceil(about.replay * len(new)))
        drawn = [np.concatenate([new, rng.permutation(known)[:count]]) for _ in range(about.epochs)]
        fitted = rows if warm.head is None else None
        phase = _Phase(WARM, drawn, about.epochs if len(new) else 0, about.learning_rate, fitted=fitted)
        best = self._run(phase, start=warm)
        return self._finish(best, best.choice, len(drawn[0]) if phase.epochs else 0)

    def _finish(self, best: _Best, choice: _Choice, rows: int) -> Finetuned:
        self._adapted.restore(best.adapter)
        self._adapted.adapter.eval()
        return Finetuned(
            self._adapted, best.head, choice.curves, best.choice.epoch, self._inverse_penalty, choice.dev_logits, rows
        )

    def _cold(self, name: str, rows: np.ndarray, *, schedule: int, epochs: int) -> _Phase:
        return _Phase(name, [rows] * schedule, epochs, self._recipe.learning_rate, fitted=rows)

    def _choose_penalty_in_folds(self, rows: np.ndarray) -> None:
        recipe = self._recipe.head
        if isinstance(recipe, LogisticRecipe):
            rng = np.random.default_rng(self._seed)
            self._choose_penalty(rows, cut_folds(self._targets[rows], folds=recipe.folds, rng=rng), recipe)

    def _choose_penalty(self, rows: np.ndarray, held_out: Sequence[np.ndarray], recipe: LogisticRecipe) -> None:
        """Set the penalty of every head from the frozen features of ``rows``; ``held_out`` counts within them."""
        if len(recipe.inverse_penalties) == 1:
            [self._inverse_penalty] = recipe.inverse_penalties
            return
        self._inverse_penalty = choose_penalty(
            self._frozen[rows], self._targets[rows], self._weights[rows], held_out=held_out, recipe=recipe
        )

    def _run(self, phase: _Phase, *, start: WarmStart | None = None, earlier: _Choice | None = None) -> _Best:
        """Train through ``phase`` and return what to keep; a checkpoint taken in it is gone on from."""
        self._adapted.restore(self._adapted.arrange(start.adapter) if start else None)
        if not phase.epochs:
            return self._keep_start(phase, start)
        head = start.head if start and start.head is not None else self._fit_line(phase)
        course = self._course(phase, head)
        best = self._resume(phase, course) or self._judge(phase, course, math.nan, None)
        while course.epoch < phase.epochs and not self._is_stale(phase, best):
            best = self._judge(phase, course, course.advance(self._ticker(phase, course)), best)
            self._save(phase, course, best, earlier)
        return best

    def _keep_start(self, phase: _Phase, start: WarmStart | None) -> _Best:
        """Return what there is without a step: the adapter as it is, and a head on the features that it makes."""
        head = start.head if start and start.head is not None else self._fit(phase, 0)
        epoch, logits = Epoch(0, math.nan, math.nan, math.nan), None
        if phase.is_measured:
            logits = apply_head(self._features(phase, self._dev_rows, 0), head)
            epoch = self._measure(0, math.nan, logits)
        self._tell(phase, 0, _describe(epoch))
        return _Best(_Choice(0, (epoch,), logits), self._adapted.state(), head)

    def _course(self, phase: _Phase, head: LinearHead) -> Course:
        rng = np.random.default_rng(self._seed)
        batches = [self._cut(rows, rng) for rows in phase.rows]
        plan = Plan(batches, self._targets, self._weights, phase.learning_rate, self._seed)
        team = self._around.team
        return Course(self._adapted, head, plan, self._recipe, team=team, tell=lambda text: self._tell(phase, 0, text))

    def _cut(self, rows: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        lengths = self._adapted.lengths[rows]
        return [rows[batch] for batch in plan_batches(lengths, batch_tokens=self._recipe.batch_tokens, rng=rng)]

    def _judge(self, phase: _Phase, course: Course, loss: float, best: _Best | None) -> _Best:
        """Record the epoch that ``course`` has come to, and return it or ``best``, whichever is to be kept."""
        curves = best.choice.curves if best else ()
        is_last = course.epoch == phase.epochs
        epoch, head, logits = Epoch(course.epoch, loss, math.nan, math.nan), course.head, None
        steps_from_it = isinstance(self._recipe.head, LogisticRecipe) and not self._recipe.lexicon
        has_it = course.epoch == 0 and steps_from_it  # the head that is wanted is the one that steps start from
        if phase.fitted is not None and (phase.is_measured or is_last) and not has_it:
            head = self._fit(phase, course.epoch)
        if phase.is_measured:
            logits = apply_head(self._features(phase, self._dev_rows, course.epoch), head)
            epoch = self._measure(course.epoch, loss, logits)
        self._tell(phase, course.epoch, _describe(epoch))
        curves = (*curves, epoch)
        if best and phase.is_measured and not epoch.dev_loss < curves[best.choice.epoch].dev_loss:
            return replace(best, choice=replace(best.choice, curves=curves))
        return _Best(_Choice(course.epoch, curves, logits), self._adapted.state(), head)

    def _is_stale(self, phase: _Phase, best: _Best) -> bool:
        behind = best.choice.curves[-1].epoch - best.choice.epoch
        return phase.is_measured and behind >= self._recipe.patience

    def _fit(self, phase: _Phase, epoch: int) -> Head:
        """Fit a head of the recipe's kind on the phase's rows as their features are now, ``epoch`` epochs in."""
        recipe, data = self._recipe.head, self._fitted(phase, epoch)
        if isinstance(recipe, QuadraticRecipe):
            return fit_quadratic(*data, directions=recipe.directions, penalty=recipe.penalty)
        return fit_head(*data, inverse_penalty=self._inverse_penalty, max_iterations=recipe.max_iterations)

    def _fit_line(self, phase: _Phase) -> LinearHead:
        """Fit the head that steps start from, on what the encoder says."""
        recipe, (features, *known) = self._recipe.head, self._fitted(phase, 0)
        data = features[:, : self._adapted.told_width], *known
        if isinstance(recipe, QuadraticRecipe):
            return fit_line(*data, penalty=recipe.penalty)
        return fit_head(*data, inverse_penalty=self._inverse_penalty, max_iterations=recipe.max_iterations)

    def _fitted(self, phase: _Phase, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return features, targets and weights of the rows that a head is fitted on."""
        rows = phase.fitted
        assert rows is not None  # noqa: S101  (a phase without has a head to start from)
        return self._features(phase, rows, epoch), self._targets[rows], self._weights[rows]

    def _features(self, phase: _Phase, rows: np.ndarray, epoch: int) -> np.ndarray:
        """Return the features of ``rows`` as they are now; those that a cold start begins with are known."""
        is_frozen = epoch == 0 and phase.name != WARM
        return self._frozen[rows] if is_frozen else self._adapted.features(rows)

    def _measure(self, epoch: int, loss: float, logits: np.ndarray) -> Epoch:
        targets = self._targets[self._dev_rows]
        return Epoch(epoch, loss, float((logits.argmax(axis=1) == targets).mean()), calibrated_loss(logits, targets))

    def _save(self, phase: _Phase, course: Course, best: _Best, earlier: _Choice | None) -> None:
        """Keep how far the run has come; a full disk ends no training."""
        import torch

        checkpoint = self._around.checkpoint
        if checkpoint is None or not self._around.team.is_first:
            return
        now = course.saved()
        head = {name: torch.from_numpy(part) for name, part in head_arrays(best.head).items()}
        tensors = now.tensors | stack("best", best.adapter) | stack("best_head", head)
        kept = Saved(tensors, now.state | {"phase": phase.name})
        for name, choice in (("best", best.choice), ("earlier", earlier)):
            kept = _with_choice(kept, name, choice) if choice else kept
        with suppress(OSError):
            checkpoint.save(kept)

    def _resume(self, phase: _Phase, course: Course) -> _Best | None:
        """Put ``course`` where the checkpoint was taken; None where there is none of this phase."""
        if self._stored is None or self._stored.state["phase"] != phase.name:
            return None
        course.resume(self._stored)
        adapter = unstack("best", self._stored.tensors)
        head = head_of({name: part.numpy() for name, part in named("best_head", self._stored.tensors).items()})
        self._tell(phase, course.epoch, f"going on from the checkpoint of epoch {course.epoch}")
        return _Best(_choice_of(self._stored, "best"), adapter, head)

    def _stored_choice(self) -> _Choice | None:
        """Return what was chosen, where the run was killed after that."""
        is_later = self._stored is not None and self._stored.state["phase"] == REFIT
        return _choice_of(self._stored, "earlier") if self._stored and is_later else None

    def _ticker(self, phase: _Phase, course: Course) -> Callable[[float, float], None]:
        """Return what tells of loss, pace and time left within an epoch, every few seconds."""
        began = told = time.monotonic()
        texts = len(phase.rows[course.epoch])

        def tick(share: float, loss: float) -> None:
            nonlocal told
            if (now := time.monotonic()) - told < _TOLD_SECONDS:
                return
            told = now
            pace = share * texts / (now - began)
            left = texts * (phase.epochs - course.epoch - share) / pace
            self._tell(phase, course.epoch + share, f"loss {loss:.3f}, {pace:,.0f} texts/s, {left:.0f} s left")

        return tick

    def _tell(self, phase: _Phase, epoch: float, text: str) -> None:
        if self._around.on_progress and self._around.team.is_first:
            done = epoch / phase.epochs if phase.epochs else 1.0
            self._around.on_progress(phase.done + phase.share * done, f"epoch {epoch:.3g}: {text}")


def _with_choice(saved: Saved, name: str, choice: _Choice) -> Saved:
    import torch

    about = {"epoch": choice.epoch, "curves": [asdict(epoch) for epoch in choice.curves]}
    logits = {} if choice.dev_logits is None else {f"{name}_dev_logits": torch.from_numpy(choice.dev_logits)}
    return Saved(saved.tensors | logits, saved.state | {name: about})


def _choice_of(saved: Saved, name: str) -> _Choice:
    about, logits = saved.state[name], saved.tensors.get(f"{name}_dev_logits")
    curves = tuple(Epoch(**epoch) for epoch in about["curves"])
    return _Choice(about["epoch"], curves, None if logits is None else logits.numpy())


def _describe(epoch: Epoch) -> str:
    loss = "the start" if epoch.epoch == 0 else f"training loss {epoch.train_loss:.3f}"
    return loss if math.isnan(epoch.dev_accuracy) else f"{loss}, dev accuracy {epoch.dev_accuracy:.1%}"
