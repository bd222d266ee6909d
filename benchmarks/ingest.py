"""How close seeing comes to the bound that decoding and the network set, in one run on the same cores.

    python -m benchmarks.ingest --json

`ratio = pictures_per_s * (1 / decode_per_s + 1 / forward_per_s)`: 1 would mean that storing, hashing, thumbnails,
queues and transactions cost nothing. Decoding is measured bare (Pillow to RGB) in as many processes as the agent
uses, forward bare (the born network, the agent's batches, all cores), seeing through the real folder source, decode
pool, inbox, embedding thread and store, with learning off.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from agent.cores import share_cores

share_cores()  # as the daemon does, before torch is imported

import numpy as np
import torch
from PIL import Image, ImageFilter

from agent.catalogue import StoreCatalogue
from agent.config import Config
from agent.decode import DecodePool
from agent.device import resolve_device
from agent.embed_worker import EmbedWorker
from agent.embedder import Embedder
from agent.encoder import Encoder, build_encoder
from agent.inbox import Inbox
from agent.sources.folder import FolderSource
from storage.engine import open_engine
from storage.migrate import migrate
from storage.queries import Queries
from storage.store import Store

SIZE_PX = (640, 480)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3, help="the median is printed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    config = Config()
    encoder = build_encoder(config.encoder, config.seed).to(resolve_device(config.device))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "pictures"
        make_pictures(folder, options.pictures)
        runs = [one_run(config, encoder, folder, Path(scratch) / f"{i}.db") for i in range(options.repeats)]
    result = sorted(runs, key=lambda run: run["ratio"])[len(runs) // 2]
    result = {name: round(value, 3) for name, value in result.items()}
    print(json.dumps(result) if options.json else "\n".join(f"{k:>16}  {v}" for k, v in result.items()))
    return 0


def one_run(config: Config, encoder: Encoder, folder: Path, database: Path) -> dict[str, float]:
    decode_per_s = bare_decode(folder, config.decode.workers)
    forward_per_s = bare_forward(encoder, config)
    pictures_per_s = seeing(config, encoder, folder, database)
    ratio = pictures_per_s * (1 / decode_per_s + 1 / forward_per_s)
    return {
        "pictures_per_s": pictures_per_s,
        "decode_per_s": decode_per_s,
        "forward_per_s": forward_per_s,
        "ratio": ratio,
    }


def make_pictures(folder: Path, count: int) -> None:
    """JPEG files that weigh what a camera's do (about 100 KB at quality 90): blobs of colour under fine grain."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        blobs = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        coarse = blobs.resize(SIZE_PX, Image.Resampling.BICUBIC)
        grain = rng.normal(0, 9, (SIZE_PX[1], SIZE_PX[0], 1))
        pixels = np.clip(np.asarray(coarse, dtype=np.float32) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).filter(ImageFilter.SMOOTH).save(folder / f"{i:05d}.jpg", quality=90)


def bare_decode(folder: Path, workers: int) -> float:
    paths = sorted(folder.iterdir())
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(_decode, paths[: 4 * workers]))
        started = time.perf_counter()
        list(pool.map(_decode, paths, chunksize=32))
        return len(paths) / (time.perf_counter() - started)


def _decode(path: Path) -> int:
    with Image.open(path) as picture:
        return int(np.asarray(picture.convert("RGB")).shape[0])


def bare_forward(encoder: Encoder, config: Config, pictures: int = 2048) -> float:
    device = next(encoder.parameters()).device
    side = config.encoder.image_px
    batch = config.inbox.batch
    x_BCHW = torch.zeros(batch, 3, side, side, device=device).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        encoder(x_BCHW)
        started = time.perf_counter()
        for _ in range(pictures // batch):
            encoder(x_BCHW)
        return pictures // batch * batch / (time.perf_counter() - started)


def seeing(config: Config, encoder: Encoder, folder: Path, database: Path) -> float:
    """Pictures a second from the first scan to the last commit, all parts warm."""
    engine = open_engine(f"sqlite:///{database}")
    migrate(engine)
    store, queries = Store(engine), Queries(engine)
    store.ensure_born({})
    pool = DecodePool(config.decode, least_px=config.encoder.image_px)
    inbox, stop = Inbox(config.inbox.capacity), threading.Event()
    embedder = Embedder(encoder, {}, next(encoder.parameters()).device)
    worker = EmbedWorker(inbox, embedder, store, queries, batch=config.inbox.batch)
    paths = sorted(folder.iterdir())
    for future in [pool.submit(path, "warm") for path in paths[:8]]:
        future.result()
    embedder.embed([np.zeros((192, 256, 3), dtype=np.uint8)] * config.inbox.batch)
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        source = FolderSource(folder, "benchmark", config.folder, StoreCatalogue(store, queries), pool, inbox)
        started = time.perf_counter()
        source.drain(stop)
        seconds = time.perf_counter() - started
    finally:
        stop.set()
        thread.join()
        pool.close()
    stored = queries.last_picture_id()
    assert stored == len(paths), f"{stored} of {len(paths)} pictures were stored"
    engine.dispose()
    return stored / seconds


if __name__ == "__main__":
    sys.exit(main())
