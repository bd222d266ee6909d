"""Networks translated by `torch.compile`, for those who ask for it and have what it needs (`learner.compile`).

It knows nothing of what the networks are for.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class CompilerError(Exception):
    """`torch.compile` has no compiler for the device (exit code 2). One line with the remedy."""

    exit_code = 2


def compile_in_place(networks: Iterable[nn.Module], device: torch.device) -> None:
    """From their first pass on they run translated. Weights and their names stay as they are; copies run untranslated.

    Raises:
        CompilerError: there is no compiler.
    """
    _require_compiler(device)
    for network in networks:
        network.compile()


def _require_compiler(device: torch.device) -> None:
    """Asked of something small, because else it would be the first step that fails, and with a page of text."""
    try:
        torch.compile(_probe)(torch.zeros(8, device=device))
    except RuntimeError as error:  # what its stages raise has no other class in common
        reason = str(error).partition("\n")[0]
        raise CompilerError(
            f"torch.compile does not work on {device} ({reason}); install what it needs (a C++ compiler, for CUDA also"
            " triton), or set learner.compile=false"
        ) from error


def _probe(x_N: Tensor) -> Tensor:
    return torch.nn.functional.gelu(x_N)
