"""A recipe: everything that decides how a model is trained, but the data."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from labeling.config import Config
from training.encoder import EncoderSpec
from training.lexicon import Lexicon

Precision = Literal["fp32", "bf16", "int8"]


class LogisticRecipe(Config):
    """A logistic regression, which training starts from and ends with.

    ``inverse_penalties`` are scikit-learn's C, the larger the freer the fit; the one that does best on rows held out
    is taken: on dev, or where dev is too small in ``folds`` parts of the training rows.
    """

    kind: Literal["logistic"]
    inverse_penalties: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)
    folds: int = Field(ge=2, le=20)
    max_iterations: int = Field(ge=1, le=10_000)


class QuadraticRecipe(Config):
    """A regression on the features and their products in pairs (training.quadratic): where an encoder knows its field.

    ``directions`` of the features are kept, those in which they differ most; the size of the head grows with their
    square. ``penalty`` is the ridge's, beside a text's likeness to itself of 1: the larger, the smoother.
    """

    kind: Literal["quadratic"]
    directions: int = Field(ge=2, le=1024)
    penalty: float = Field(gt=0)


HeadRecipe = Annotated[LogisticRecipe | QuadraticRecipe, Field(discriminator="kind")]


class LoraRecipe(Config):
    """The adapter (Hu et al., 2022).

    ``layers`` counts from the top; the layers below stay as they are and are computed once a text.
    ``target_modules`` are the linear layers adapted in each.
    """

    rank: int = Field(ge=1, le=256)
    alpha: float = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)
    layers: int = Field(ge=1)
    target_modules: tuple[str, ...] = Field(min_length=1)


class WarmRecipe(Config):
    """A retrain that goes on from the champion's weights, where no more than ``most_new`` of the labels are new to it.

    Each of ``epochs`` goes through the labels that the champion does not know and ``replay`` times as many that it
    does; a quadratic head is then fitted anew, and needs none. Of ``cold_every`` trainings of a task one is from
    scratch, to show what the others may have lost; 1 makes every one of them so.
    """

    most_new: float = Field(ge=0, le=1)
    epochs: int = Field(ge=0, le=100)
    replay: float = Field(ge=0)
    learning_rate: float = Field(gt=0)
    cold_every: int = Field(ge=1)


class Recipe(Config):
    """How to train.

    ``pooled_layers``: what the last so many layers say of a text, each averaged over its tokens, is side by side its
    feature.
    ``epochs`` at most, fewer once dev has not improved for ``patience``; ``fixed_epochs`` where dev has fewer than
    ``min_dev`` rows, too few to choose by. ``refit``: once the number of epochs is chosen, train on dev too.
    ``precision`` "auto" is bf16 where the processor multiplies it natively. ``answers_in`` is what the trained model
    scores in: bf16 and int8 are faster and have to give the same answers (training.lowering); int8 needs the extra
    ``onnx``; "auto" is bf16 where the processor multiplies it natively and held-out cases show that the answers stay,
    else fp32. ``first_reader``: let a linear model of words answer where it is sure (training.first_reader), which is
    as fast again or more, and tells no novelty of what it answers. ``lexicon``: what "vader" says of a
    text's mood stands beside the encoder's feature (training.lexicon): English, for sentiment.
    """

    schema_version: int = Field(ge=2, le=2)
    encoder: EncoderSpec
    pooled_layers: int = Field(ge=1, le=48)
    head: HeadRecipe
    lora: LoraRecipe
    warm: WarmRecipe
    epochs: int = Field(ge=0, le=1000)
    patience: int = Field(ge=1)
    fixed_epochs: int = Field(ge=0, le=1000)
    learning_rate: float = Field(gt=0)
    head_learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    warmup_share: float = Field(ge=0, lt=1)
    max_gradient_norm: float = Field(gt=0)
    batch_tokens: int = Field(ge=16)
    precision: Literal["auto", "fp32", "bf16"]
    device: Literal["auto", "cpu", "cuda"]
    dev_share: float = Field(ge=0, lt=1)
    min_dev: int = Field(ge=2)
    refit: bool
    seed: int = Field(ge=0, lt=2**32)
    answers_in: Literal["auto", Precision] = "fp32"
    first_reader: bool = False
    lexicon: Lexicon | None = None

    @model_validator(mode="after")
    def _learns_what_is_new(self) -> Self:
        if self.head.kind == "logistic" and not self.warm.epochs:
            raise ValueError("a logistic head learns by epochs, found warm.epochs 0: set it to 1 or more")
        return self

    @property
    def takes_steps(self) -> bool:
        """Whether any training moves the encoder; where none does, it runs once a text, ever."""
        return bool(self.epochs or self.fixed_epochs or self.warm.epochs)

    def parameters(self) -> dict[str, Any]:
        """Return every setting, flat, its sections joined by a dot: what a run records."""
        return dict(_flatten("", self.model_dump(mode="json")))


def uses_bf16(precision: str, device: str) -> bool:
    """Return whether to train in bf16; "auto" asks the processor, not a clock, so that runs repeat."""
    import torch

    if precision != "auto":
        return precision == "bf16"
    return torch.cuda.is_bf16_supported() if device == "cuda" else torch.cpu._is_avx512_bf16_supported()


def _flatten(prefix: str, section: dict[str, Any]) -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in section.items():
        flat += _flatten(f"{prefix}{name}.", value) if isinstance(value, dict) else [(f"{prefix}{name}", value)]
    return flat
