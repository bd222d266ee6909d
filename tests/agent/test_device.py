from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

from agent import device
from agent.device import DeviceError, autocast, host_values, resolve_device, upload

AGENT = Path(device.__file__).parent


def test_auto_is_a_device_that_computes() -> None:
    assert float(torch.ones(2, device=resolve_device("auto")).sum()) == 2


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(DeviceError, match=f"{name}.*set device"):
        resolve_device(name)


def test_no_autocast_on_the_host() -> None:
    with autocast(device.HOST):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_scalars_come_over_in_order() -> None:
    assert host_values([torch.tensor(1.5), torch.tensor(2, dtype=torch.int64)]) == [1.5, 2.0]


def test_upload_goes_where_it_is_told() -> None:
    assert upload(torch.ones(2), torch.device("meta")).device.type == "meta"


def test_device_names_are_written_in_one_module_only() -> None:
    offenders = [
        f"{path.name}:{node.lineno}"
        for path in AGENT.glob("*.py")
        if path.name != "device.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in ("cpu", "cuda", "mps", "cuda:0")
    ]
    assert offenders == []
