"""The processes that train one model together: one alone, or those that torchrun or ``accelerate launch`` started."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

_Rows = TypeVar("_Rows")
"""An array or a list."""


class Team:
    """This process among those of one training run; alone, every method gives back what it was given.

    Args:
        device: "auto", "cpu" or "cuda", as in a recipe.
    """

    def __init__(self, device: str) -> None:
        self._wanted = device

    @cached_property
    def _state(self) -> Any:
        from accelerate import PartialState

        return PartialState(cpu=self._wanted == "cpu")

    @property
    def size(self) -> int:
        """How many processes there are."""
        return self._state.num_processes

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self._state.is_main_process

    @property
    def device(self) -> str:
        """The device of this process: each of several on one machine has a GPU of its own."""
        return str(self._state.device)

    def share(self, rows: _Rows) -> _Rows:
        """Return those of ``rows`` that this process takes."""
        return rows[self._state.process_index :: self.size]  # type: ignore[index]

    def add_up(self, tensor: "torch.Tensor") -> "torch.Tensor":
        """Return the sum over all processes; each must call it, with a tensor of the same shape."""
        from accelerate.utils import reduce

        return tensor if self.size == 1 else reduce(tensor, reduction="sum")  # type: ignore[return-value]
