"""Gradient steps a second of `Learner.observe`, beside what one would write by hand and beside lightly's SimCLR.

    python -m benchmarks.learning --json --out benchmarks/results/learning/cpu.json
    python -m benchmarks.learning --study --out benchmarks/results/learning/steps.json
    python -m benchmarks.learning --device cuda --json

All train the same network from the same pictures through the same augmentation, in short blocks that take turns, so
that whatever else the machine does hits all alike; a ratio is the median over the turns.

* `ours` is `observe` in the steady state: replay full, EWC anchored.
* `bare` is a plain loop with NT-Xent, alignment to a teacher that follows, clipping and AdamW; no EWC, no gate.
* `lightly` is its projection head, its loss and its loop (`pip install -e '.[bench]'`). `plain` is `observe` without
  the losses that lightly does not have, and is what lightly is compared with.

With `--study` one thing at a time is done otherwise, in turns with the default; `benchmarks.report` makes a table of
what it finds.

`data_share` is how much of a step at most is spent waiting for pictures to be chosen and brought to the device.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from agent.cores import share_cores

share_cores()  # as the daemon does, before torch is imported

import torch
from torch import Generator, Tensor, nn

from agent.config import Config
from agent.device import HOST, resolve_device, upload
from agent.encoder import Encoder, build_encoder, training_px
from agent.replay import Replay
from agent.settings import load_config
from benchmarks.loops import Bare, Lightly, Loop, Ours, Stream
from benchmarks.provenance import made_with
from benchmarks.separate import augment_separately

GPU = Path(__file__).resolve().parent.parent / "configs" / "gpu.yaml"
STEPS = 60
STUDY_STEPS = 12
"""Fewer: there are a dozen variants."""

WARMUP = 2
"""Turns that do not count."""

STUDY_WARMUP = 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto", help="cuda takes the sizes of configs/gpu.yaml")
    parser.add_argument("--steps", type=int, default=0, help=f"of each loop; {STEPS}, in the study {STUDY_STEPS}")
    parser.add_argument("--threads", type=int, default=0, help="0 leaves it to torch")
    parser.add_argument("--compile", action="store_true", help="torch.compile for student and teacher of all loops")
    parser.add_argument("--study", action="store_true", help="a table of what makes a step cheaper")
    parser.add_argument("--only", default="", help="of the study what begins so; several with commas")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, as for the agent")
    parser.add_argument("--out", type=Path, default=None, help="a file to keep the result in")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    device = resolve_device(options.device)
    settings = [f"device={options.device}", "learner.objective=simclr", *options.set]
    config = load_config(GPU if device.type == "cuda" else None, settings, environment={})
    if options.study:
        wanted = [variant for variant in VARIANTS if variant.name.startswith(tuple(options.only.split(",")))]
        result = studied(config, device, options.steps or STUDY_STEPS, wanted, quiet=options.json)
    else:
        result = compared(config, device, options.steps or STEPS, compiled=options.compile)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result | {"made_with": made_with(config, device)}, indent=1) + "\n")
    if options.json:
        print(json.dumps(result))
    elif not options.study:
        print("\n".join(f"{k:>19}  {v}" for k, v in result.items()))
    return 0


# -------------------------------------------------------------------- measuring


@dataclass(frozen=True, slots=True)
class Turn:
    """One block of each loop.

    Attributes:
        measuring: the learner also measured drift, as it does every `MEASURE_EVERY` steps.
    """

    seconds: Mapping[str, float]
    measuring: bool


def compared(config: Config, device: torch.device, steps: int, *, compiled: bool) -> dict[str, Any]:
    """What is printed."""
    encoder = build_encoder(config.encoder, config.seed).to(device)
    block = block_of(config)
    turns = taken(loops_of(config, encoder, device, compiled=compiled), block, max(1, steps // block), device)
    per_s = {name: block / typical([turn.seconds[name] for turn in turns], turns) for name in turns[0].seconds}
    pictures = config.learner.stream_batch + config.learner.replay_batch
    lightly = (
        {"per_s": round(per_s["lightly"], 3), "ratio": ratio(turns, "plain", "lightly")} if "lightly" in per_s else {}
    )
    return {
        "steps_per_s": round(per_s["ours"], 3),
        "bare_steps_per_s": round(per_s["bare"], 3),
        "plain_steps_per_s": round(per_s["plain"], 3),
        "lightly_steps_per_s": lightly.get("per_s"),
        "ratio_bare": ratio(turns, "ours", "bare"),
        "ratio_lightly": lightly.get("ratio"),
        "views_per_s": round(2 * pictures * per_s["ours"], 1),
        "images_per_s": round(pictures * per_s["ours"], 1),
        "data_share": round(data_s(config, encoder, device, block) * per_s["ours"], 4),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "image_px": config.encoder.image_px,
        "batch": [config.learner.stream_batch, config.learner.replay_batch],
        "steps": len(turns) * block,
        "compiled": compiled,
    }


def loops_of(config: Config, encoder: Encoder, device: torch.device, *, compiled: bool) -> dict[str, Loop]:
    threads = torch.get_num_threads()
    loops: dict[str, Loop] = {
        "ours": Ours(config, encoder, device, compiled=compiled, threads=threads),
        "plain": Ours(without_extras(config), encoder, device, compiled=compiled, threads=threads),
        "bare": Bare(config, encoder, device, compiled=compiled),
    }
    try:
        loops["lightly"] = Lightly(config, encoder, device, compiled=compiled)
    except ImportError as error:
        print(f"lightly is not measured ({error}); pip install -e '.[bench]'", file=sys.stderr)
    return loops


def block_of(config: Config) -> int:
    """Steps that one batch of the stream pays for."""
    settings = config.learner
    views = 2 * (settings.stream_batch + settings.replay_batch)
    return max(1, int(settings.stream_batch * settings.views_per_picture // views))


def without_extras(config: Config) -> Config:
    """What plain SimCLR does not have is off."""
    learner = config.learner.model_copy(update={"align": 0.0})
    return config.model_copy(update={"learner": learner, "ewc": config.ewc.model_copy(update={"strength": 0.0})})


def taken(loops: Mapping[str, Loop], block: int, turns: int, device: torch.device, warmup: int = WARMUP) -> list[Turn]:
    """Blocks of all loops in turns, the order reversed every other time, after a few that do not count."""
    found = []
    for turn in range(-warmup, turns):
        order = sorted(loops, reverse=turn % 2 == 1)
        seconds = {name: seconds_of(loops[name], block, device) for name in order}
        if turn >= 0:
            found.append(Turn(seconds, any(loop.measured for loop in loops.values() if isinstance(loop, Ours))))
    return found


def seconds_of(loop: Loop, block: int, device: torch.device) -> float:
    loop.prepare()
    synchronize(device)
    started = time.perf_counter()
    loop(block)
    synchronize(device)
    return time.perf_counter() - started


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def typical(values: Sequence[float], turns: Sequence[Turn]) -> float:
    """The median of usual turns and that of measuring ones, by their share: one median would hide what is rare."""
    kinds = [[v for v, turn in zip(values, turns, strict=True) if turn.measuring is kind] for kind in (False, True)]
    return sum(statistics.median(kind) * len(kind) / len(values) for kind in kinds if kind)


def ratio(turns: Sequence[Turn], one: str, other: str) -> float:
    """How fast one loop is, as a multiple of the other."""
    return round(1 / typical([turn.seconds[one] / turn.seconds[other] for turn in turns], turns), 3)


def data_s(config: Config, encoder: Encoder, device: torch.device, block: int, repeats: int = 20) -> float:
    """Seconds a step for admitting, remembering, choosing and uploading pictures, done by themselves.

    A device of its own waits for them at the beginning and the end of a block only.
    """
    side_px, settings = training_px(encoder.image_px), config.learner
    replay = Replay(config.replay, side_px, encoder.dim, Generator(HOST).manual_seed(0))
    stream = Stream(side_px, encoder.dim)
    replay.add(stream.next(replay.capacity))
    seconds = []
    for _ in range(repeats):
        batch = stream.next(settings.stream_batch)
        started = time.perf_counter()
        fresh, _ = replay.admit(batch)
        arrived = replay.collect(fresh)
        for _ in range(block if device == HOST else 1):
            for pictures in (arrived, replay.sample(settings.replay_batch)):
                for tensor in (pictures.pixels_NCHW, pictures.innate_ND):
                    upload(tensor, device)
            synchronize(device)
        replay.add(fresh)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds) / block


# -------------------------------------------------------------------- the study


@dataclass(frozen=True, slots=True)
class Variant:
    """What differs from the configuration that it is measured against."""

    name: str
    settings: Mapping[str, int]
    contiguous: bool = False
    unfolded: bool = False
    compiled: bool = False
    separate: bool = False
    threads: int = 0

    def is_default(self, config: Config, threads: int) -> bool:
        """It differs from nothing: what it would be compared with is itself."""
        other = self.contiguous or self.unfolded or self.compiled or self.separate or self.threads not in (0, threads)
        return not other and all(getattr(config.encoder, key) == value for key, value in self.settings.items())


VARIANTS = (
    *(Variant(f"trained_blocks {n}", {"trained_blocks": n}) for n in (0, 9, 6, 3)),
    *(Variant(f"image_px {n}", {"image_px": n}) for n in (64, 96, 128)),
    Variant("separate augmentation", {}, separate=True),
    Variant("contiguous", {}, contiguous=True),
    Variant("unfolded", {}, unfolded=True),
    Variant("compiled", {}, compiled=True),
    *(Variant(f"threads {n}", {}, threads=n) for n in (1, 2)),
)


class Contiguous(nn.Module):
    """Undoes the layout that `augment` gives to views."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW.contiguous()


class Separate(Ours):
    """Its views are made by one operation after the other."""

    def __call__(self, steps: int) -> None:
        with mock.patch("agent.learner.augment", augment_separately):
            super().__call__(steps)


def studied(
    config: Config, device: torch.device, steps: int, variants: Sequence[Variant], *, quiet: bool
) -> dict[str, Any]:
    """What is kept of a study; a line is printed as soon as it is known, unless `quiet`."""
    rows: list[dict[str, Any]] = []
    for name, per_s, times in study(config, device, steps, variants):
        if not quiet:
            print(f"{name:<22} {per_s:>8.3f} steps/s {times:>8.3f} times as fast", flush=True)
        known = not math.isnan(per_s)
        rows.append(
            {"variant": name, "steps_per_s": per_s if known else None, "times_as_fast": times if known else None}
        )
    return {"study": rows, "steps": steps}


def study(
    config: Config, device: torch.device, steps: int, variants: Sequence[Variant]
) -> Iterator[tuple[str, float, float]]:
    """Name, steps a second, and how many times as fast as the configuration as it is; nan where a variant fails."""
    replay = config.replay.model_copy(update={"capacity": 2 * config.ewc.fisher_samples})
    config = config.model_copy(update={"replay": replay})
    block, threads = block_of(config), torch.get_num_threads()
    base = of_variant(Variant("", {}), config, device, threads)
    for variant in variants:
        if variant.is_default(config, threads):
            continue
        try:
            loops = {"base": base, "variant": of_variant(variant, config, device, threads)}
            turns = taken(loops, block, max(1, steps // block), device, STUDY_WARMUP)
        except Exception as error:  # noqa: BLE001 - compilers raise what they like, and the other lines are wanted
            print(f"{variant.name}: {type(error).__name__}: {str(error).strip()[:300]}", file=sys.stderr)
            yield variant.name, math.nan, math.nan
            continue
        per_s = block / typical([turn.seconds["variant"] for turn in turns], turns)
        yield variant.name, round(per_s, 3), ratio(turns, "variant", "base")


def of_variant(variant: Variant, config: Config, device: torch.device, threads: int) -> Ours:
    settings = config.encoder.model_copy(update=dict(variant.settings))
    with mock.patch("agent.encoder.folded", lambda network, _: network) if variant.unfolded else nullcontext():
        encoder = build_encoder(settings, config.seed).to(device)
    if variant.contiguous:
        encoder = encoder.to(memory_format=torch.contiguous_format)
        encoder.trunk = nn.Sequential(Contiguous(), encoder.trunk)
    config = config.model_copy(update={"encoder": settings})
    loop = Separate if variant.separate else Ours
    return loop(config, encoder, device, compiled=variant.compiled, threads=variant.threads or threads)


if __name__ == "__main__":
    sys.exit(main())
