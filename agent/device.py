"""Which device computes, and in what precision. The one module in which device names are written.

It knows nothing of networks or losses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

HOST = torch.device("cpu")


class DeviceError(Exception):
    """A device was asked for that this machine does not have (exit code 2)."""

    exit_code = 2


def resolve_device(name: str) -> torch.device:
    """`auto` picks CUDA, then MPS, then the CPU; any other name must be there.

    Raises:
        DeviceError: unknown name, or no such device here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps") if torch.backends.mps.is_available() else HOST
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"device {name!r} is unknown; set device to auto, cpu, cuda, cuda:N or mps") from None
    if not _is_there(device):
        raise DeviceError(f"device {name!r} is not available on this machine; set device=auto or device=cpu")
    return device


def _is_there(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    if device.type == "mps":
        return torch.backends.mps.is_available()
    return device.type == "cpu"


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 on CUDA only: on CPUs without such instructions it was measured 15 times slower."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if device.type == "cuda" else nullcontext()


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Inside of `autocast`, which computes products in bfloat16 whatever they are given: float32 stays float32."""
    known = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if known else nullcontext()


def upload(x: Tensor, device: torch.device) -> Tensor:
    """`x` on `device`; to CUDA through pinned memory, so that the copy overlaps with what is being computed."""
    if device.type == "cuda" and x.device == HOST:
        return x.pin_memory().to(device, non_blocking=True)
    return x.to(device)


def send_home(scalars: Sequence[Tensor]) -> Callable[[], list[float]]:
    """Sends numbers of 0-d tensors to the host, in one transfer; what is returned waits for them.

    It does not wait for what the device was given to do after them. A training step waits nowhere else.
    """
    sent = torch.stack([s.detach().float() for s in scalars])
    if sent.device.type != "cuda":
        return sent.tolist
    values = sent.to(HOST, non_blocking=True)  # into pinned memory
    arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
    arrived.record(torch.cuda.current_stream(sent.device))  # left out, it would be that of the first device

    def wait() -> list[float]:
        arrived.synchronize()
        return values.tolist()

    return wait


def host_values(scalars: Sequence[Tensor]) -> list[float]:
    """Numbers of 0-d tensors, waited for."""
    return send_home(scalars)()


def has_fused_adamw(device: torch.device) -> bool:
    return device.type in ("cpu", "cuda")
