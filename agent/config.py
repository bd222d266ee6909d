"""Every setting of Taxon, its default, its bounds and its meaning. Nothing else.

Loading (YAML, environment, `--set`) is `agent.settings`; each component receives only its own section.
Units are in the names: `_s` seconds, `_px` pixels, `_mb` megabytes, `_d` days.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from agent.address import parse as parse_address
from agent.listen import parse as parse_listen
from agent.masks import parse as parse_mask


class Section(BaseModel):
    """A frozen part of the configuration; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FolderConfig(Section):
    """Watched folders (`agent.sources.folder`)."""

    watch: tuple[Path, ...] = Field((), description="folders to watch")
    recursive: bool = Field(True, description="with all folders in them")
    follow_links: bool = Field(False, description="with linked folders and files; changes there are found by scans")
    settle_s: float = Field(0.5, ge=0, description="a file is read when size and mtime have not changed for so long")
    settle_paged_s: float = Field(
        5,
        ge=0,
        description="likewise for GIF, TIFF, APNG and MPO, whose beginning is a picture before the end is there",
    )
    rescan_s: float = Field(300, gt=0, description="full scan of the folder; file events are only hints")
    observer: Literal["auto", "native", "polling"] = Field("auto", description="how changes are noticed between scans")
    poll_s: float = Field(5, gt=0, description="scan interval when polling")
    believe_s: float = Field(
        21_600, ge=0, description="most files vanished: they are gone if they stay away so long while others are there"
    )
    suffixes: tuple[str, ...] = Field(
        (".jpg", ".jpeg", ".jpe", ".png", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif",
         ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".tga", ".ico", ".cur", ".icns", ".jp2", ".j2k", ".jpx", ".mpo",
         ".jfif", ".apng", ".pcx", ".dcx", ".sgi", ".rgb", ".rgba", ".bw", ".ras", ".fli", ".flc", ".fits", ".fit",
         ".xbm", ".xpm", ".msp", ".psd", ".dds", ".qoi", ".blp", ".ftc", ".ftu", ".gbr", ".im", ".emf", ".wmf", ".eps"),
        description="lower-case suffixes taken for pictures; others are looked into for an image's first bytes",
    )  # fmt: skip
    frames: Literal["first", "all"] = Field("first", description="of animations and files of several pages")
    frames_most: int = Field(100, ge=1, description="with `all`: frames of one file that become pictures")
    ignore: tuple[str, ...] = Field(
        (".*", "~*", "*.tmp", "*.part", "*.partial", "*.crdownload", "*.filepart", "*.!sync", "desktop.ini",
         "Thumbs.db", "@eaDir", "__MACOSX"),
        description="globs matched against every path component below the watched folder",
    )  # fmt: skip


def _camera(text: str) -> str:
    parse_address(text)
    return text


def _still(text: str) -> str:
    parse_address(text, still=True)
    return text


def _mask(text: str) -> str:
    parse_mask(text)
    return text


class GatesConfig(Section):
    """What a camera's picture must pass to be kept, in this order (`agent.sources.gates`); 0 turns a gate off."""

    blank: float = Field(3, ge=0, description="spread of grey values, of 255, below which a picture is blank")
    frozen: bool = Field(True, description="drop a picture that equals the one before, grain by grain")
    motion_area: float = Field(0.002, ge=0, le=1, description="share of the picture that must have changed")
    motion_level: float = Field(20, gt=0, le=255, description="change of a grey value, of 255, that counts as one")
    masks: tuple[Annotated[str, AfterValidator(_mask)], ...] = Field(
        (), description="areas to ignore: NAME=x,y x,y x,y, corners in shares of width and height; any number a camera"
    )
    near_bits: int = Field(4, ge=0, le=256, description="of 256 bits of a dHash: at least so many must differ")
    per_minute: float = Field(30, ge=0, description="pictures kept in any minute, at most")
    keepalive_s: float = Field(600, ge=0, description="one picture is kept after so long whatever motion says")


class RetentionConfig(Section):
    """How long files are kept that are ours to delete (`agent.sources.retention`); the oldest go first."""

    days: float = Field(30, gt=0, description="older files are deleted; what was learned and the thumbnails stay")
    max_mb: int = Field(5_000, ge=1, description="more are deleted")
    free_mb: int = Field(1_024, ge=0, description="room left on the disk, at least; else files go, then none is kept")


class KeptConfig(RetentionConfig):
    """Pictures of cameras on the disk, for each camera (`agent.sources.keeping`); the oldest go first."""

    quality: int = Field(90, ge=1, le=95, description="of JPEG")


class SnapshotConfig(Section):
    """Cameras that give one picture at a time by HTTP (`agent.sources.snapshot`)."""

    watch: tuple[Annotated[str, AfterValidator(_still)], ...] = Field((), description="stills to ask for, as NAME=URL")
    every_s: float = Field(10, ge=0.1, description="how often to ask")
    timeout_s: float = Field(10, gt=0, description="an answer that takes longer is given up")
    max_mb: int = Field(20, ge=1, description="a larger answer is given up")


class CameraConfig(Section):
    """Cameras, each in a process of its own (`agent.sources.camera`)."""

    watch: tuple[Annotated[str, AfterValidator(_camera)], ...] = Field(
        (), description="cameras as NAME=URL: rtsp, http, a device, a video file; ${NAME} is taken from the environment"
    )
    fps: float = Field(1, gt=0, le=30, description="pictures looked at in a second; the rest are decoded and dropped")
    open_timeout_s: float = Field(10, gt=0, description="a camera that takes longer to answer is given up")
    read_timeout_s: float = Field(10, gt=0, description="a stream that says nothing for so long is given up")
    stall_s: float = Field(20, gt=0, description="without a picture for so long the process is killed and made anew")
    backoff_s: float = Field(1, gt=0, description="wait before the first new attempt; it doubles, with jitter")
    backoff_max_s: float = Field(60, gt=0, description="the longest wait between attempts")
    gates: GatesConfig = GatesConfig()
    kept: KeptConfig = KeptConfig()
    snapshot: SnapshotConfig = SnapshotConfig()


TOKEN_LENGTH = 16


def _listen(text: str) -> str:
    if text:
        parse_listen(text)
    return text


def _token(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if text and not (len(text) >= TOKEN_LENGTH and text.isascii() and text.isprintable() and " " not in text):
        raise ValueError(f"a token has at least {TOKEN_LENGTH} letters, digits and signs, and no spaces")
    return secret


class PushConfig(Section):
    """Pictures that other programs and machines send by HTTP (`agent.sources.push`)."""

    listen: Annotated[str, AfterValidator(_listen)] = Field(
        "", description="HOST:PORT to receive pictures at, or a port of this machine alone; empty: none are received"
    )
    token: Annotated[SecretStr, AfterValidator(_token)] = Field(
        SecretStr(""), description="what senders must know; rather set TAXON_PUSH__TOKEN than write it into a file"
    )
    max_mb: int = Field(64, ge=1, description="a larger picture is refused")
    at_once: int = Field(16, ge=1, le=256, description="requests in hand; more are told to come again")
    read_s: float = Field(60, gt=0, description="a sender that takes longer is given up")
    wait_s: float = Field(30, gt=0, description="a picture that is not stored within this time is to be sent again")
    kept: RetentionConfig = RetentionConfig()


class DecodeConfig(Section):
    """Killable decoding workers (`agent.decode`)."""

    workers: int = Field(2, ge=1, description="worker processes")
    timeout_s: float = Field(30, gt=0, description="a picture that takes longer is rejected and its worker killed")
    memory_mb: int = Field(2048, ge=256, description="address space a worker may add to what it starts with")
    max_pixels: int = Field(100_000_000, ge=1, description="larger pictures are rejected before they are decoded")
    max_file_mb: int = Field(512, ge=1, description="larger files are rejected unread")
    thumbnail_px: int = Field(
        256, ge=32, description="long side of the stored thumbnail, from which all embedding starts"
    )


class InboxConfig(Section):
    """Frames between sources and the embedding thread (`agent.inbox`)."""

    capacity: int = Field(256, ge=1, description="frames held in memory; a folder blocks when it is full")
    batch: int = Field(32, ge=1, description="frames embedded and stored at once")


class EncoderConfig(Section):
    """The network (`agent.encoder`)."""

    backbone: str = Field(
        "tf_efficientnet_lite0", description="any timm model name, or `small` for the from-scratch net"
    )
    weights: str = Field("bundled", description="bundled | pretrained (timm hub) | none | path to a safetensors file")
    image_px: int = Field(96, ge=16, description="side of the square that the network sees; nothing is cropped away")
    trained_blocks: int = Field(6, ge=0, description="how many of the last blocks are trained; 0 means all")


PRESETS: Mapping[str, Mapping[str, float]] = {
    "any": {},
    "photos": {"crop_min": 0.2, "flip": 0.5, "saturation": 0.4, "hue": 0.1, "blur": 0.5},
    "symbols": {"crop_min": 0.5},
    "from-above": {"flip": 0.5, "rotate_deg": 180},
    "small-defects": {"crop_min": 0.7, "flip": 0.5, "rotate_deg": 180, "jitter": 0.5, "blur": 0},
    "colour-matters": {"saturation": 0, "hue": 0, "grey": 0},
}
"""What each preset of `augment` sets otherwise than `any`, which is safe for a domain that nobody has seen."""


class AugmentConfig(Section):
    """Random views (`agent.augment`)."""

    preset: Literal["any", "photos", "symbols", "from-above", "small-defects", "colour-matters"] = Field(
        "any", description="what the keys below start from; `docs/learning.md` says how to choose"
    )
    crop_min: float = Field(0.3, gt=0, le=1, description="smallest share of the picture's area that a view shows")
    aspect: float = Field(1.33, ge=1, description="largest stretch of a crop")
    flip: float = Field(0.0, ge=0, le=1, description="probability of mirroring; it swaps meanings in digits and signs")
    rotate_deg: float = Field(10.0, ge=0, le=180, description="largest rotation either way")
    jitter: float = Field(0.8, ge=0, le=1, description="probability of changing colours at all")
    brightness: float = Field(0.4, ge=0, le=1, description="relative strength")
    contrast: float = Field(0.4, ge=0, le=1, description="relative strength")
    saturation: float = Field(0.2, ge=0, le=1, description="relative strength")
    hue: float = Field(0.02, ge=0, le=0.5, description="largest turn of the colour circle")
    grey: float = Field(0.2, ge=0, le=1, description="probability of dropping colour")
    blur: float = Field(0.2, ge=0, le=1, description="probability of blurring")

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, given: object) -> object:
        """Keys that are given win over the preset's."""
        if not isinstance(given, Mapping):
            return given
        preset = given.get("preset", "any")
        return {**PRESETS.get(preset if isinstance(preset, str) else "any", {}), **given}


class LearnerConfig(Section):
    """Online self-supervised learning (`agent.learner`)."""

    objective: Literal["simclr", "byol"] = Field("simclr", description="what is minimised")
    views_per_picture: float = Field(
        18, ge=0, description="training paid for per arriving picture; 0 turns learning off"
    )
    idle_views_per_picture: float = Field(
        0, ge=0, description="further training, from memory alone, paid for per picture and done when nothing arrives"
    )
    debt_pictures: int = Field(20_000, ge=1, description="pictures that wait for learning before views are forgiven")
    stream_batch: int = Field(32, ge=2, description="new pictures in a step")
    replay_batch: int = Field(64, ge=0, description="replayed pictures in a step")
    lr: float = Field(3e-4, gt=0, description="AdamW, encoder")
    head_lr: float = Field(1e-3, gt=0, description="AdamW, projection head")
    weight_decay: float = Field(1e-4, ge=0)
    temperature: float = Field(0.2, gt=0, description="of NT-Xent")
    head_dims: tuple[int, int] = Field((512, 128), description="hidden and output width of the projection head")
    grad_clip: float = Field(5.0, gt=0, description="largest gradient norm")
    align: float = Field(0.5, ge=0, description="weight of the alignment to the teacher on replayed pictures")
    near_copy: float = Field(0.9, gt=0, le=1, description="innate cosine above which two pictures are never negatives")
    burst_s: float = Field(
        3.0, ge=0, description="pictures of one source taken within so long are never negatives either; 0 turns it off"
    )
    teacher_decay: float = Field(0.99, ge=0, lt=1, description="of the exponential moving average, per step")
    warmup_steps: int = Field(20, ge=0)
    compile: bool = Field(
        False, description="have torch.compile translate the trained blocks; needs a compiler, and minutes at the start"
    )


class ReplayConfig(Section):
    """Bounded memory of past pictures (`agent.replay`)."""

    capacity: int = Field(4_000, ge=8, description="pictures kept")
    capacity_mb: int = Field(256, ge=1, description="bytes kept")
    recent_share: float = Field(
        0.5, ge=0, le=1, description="first in, first out; the rest is a reservoir over the kinds"
    )
    near_duplicate: float = Field(0.98, gt=0, le=1, description="innate cosine above which a picture is a mere repeat")
    near_duplicate_outline: float = Field(
        0.95, gt=-1, le=1, description="correlation of 16 x 16 grey pixels that a repeat has as well"
    )


class EwcConfig(Section):
    """Elastic weight consolidation (`agent.ewc`)."""

    strength: float = Field(
        30.0, ge=0, description="pull towards the anchor, relative to the learning rate; 0 turns it off"
    )
    from_birth: bool = Field(
        True, description="the first anchor is the network as it was born; false for one that knows nothing then"
    )
    fisher_samples: int = Field(256, ge=8, description="replayed pictures for one estimate of the Fisher information")
    decay: float = Field(0.9, ge=0, lt=1, description="of the moving average over consolidations")
    clip: float = Field(50.0, gt=0, description="largest normalised Fisher value")
    every_pictures: int = Field(10_000, ge=1, description="consolidation timer")


class PublishConfig(Section):
    """When the teacher becomes an encoder version (`agent.learner`, `agent.workers`)."""

    drift: float = Field(0.1, gt=0, description="1 - mean cosine on the probe set since the last version")
    every_s: float = Field(600, gt=0, description="timer: publish what was learned after so long")
    probes: int = Field(128, ge=8, description="pictures in the probe set")
    archive_share: float = Field(
        0.25, ge=0, le=1, description="of idle time, to embed pictures beyond the window under a new version; 0: never"
    )


class ClusterConfig(Section):
    """Incremental HDBSCAN and identity (`agent.clusterer`, `agent.lineage`)."""

    every: int = Field(500, ge=1, description="new pictures between rounds")
    idle_s: float = Field(10, gt=0, description="a round after so long without a new picture, if any is unclustered")
    strangers: float = Field(
        0.1, gt=0, description="a round when so many new pictures find no kind, as a share of the window"
    )
    window: int = Field(50_000, ge=100, description="pictures clustered at once")
    exemplars: int = Field(32, ge=1, description="pictures a kind that always stay in the window")
    dims: int = Field(64, ge=2, description="PCA dimensions")
    innate_weight: float = Field(
        0.5, ge=0, le=1, description="of the innate embedding beside the learned one, whose weight is 1"
    )
    k: tuple[int, ...] = Field(
        (8,), description="neighbours that walks go to; the first value, unless another one is far better"
    )
    diffusion: tuple[int, ...] = Field((8,), description="diffusion steps; likewise")
    selection: tuple[Literal["eom", "leaf"], ...] = Field(("eom",), description="of hdbscan; likewise")
    min_cluster_size: tuple[float, ...] = Field((0.6, 1.0), description="of a kind, times sqrt(window); likewise")
    min_size: int = Field(10, ge=3, description="no kind is smaller than this when it emerges")
    min_samples: int = Field(5, ge=1, le=100, description="of hdbscan: neighbours that say how dense a place is")
    near_copy: float = Field(0.9, gt=0, le=1, description="innate cosine above which pictures are one observation")
    near_copy_centred: float = Field(0.95, gt=0, le=1, description="and their cosine among the window's points")
    track: float = Field(
        0.5, ge=0, le=1, description="nearer than this share of the way to other times is one track; 0: no tracks"
    )
    separation: float = Field(0.25, ge=0, le=1, description="depth of the valleys below which all is one kind")
    assign: float = Field(
        0.3, ge=0, le=1, description="share of the walks, or of the votes, below which a picture stays unassigned"
    )
    dormant_after: int = Field(2_000, ge=1, description="pictures without a new member until a kind is dormant")
    patience: int = Field(5, ge=1, description="rounds without density until a kind has disappeared")
    map_share: float = Field(0.1, ge=0, le=1, description="of the clusterer's time that the map may take; 0: no map")


class StorageConfig(Section):
    """The database (`storage.engine`)."""

    url: str = Field("", description="SQLAlchemy URL; empty means taxon.db in the data directory")


class ThreadsConfig(Section):
    """The thread budget, divided (0 means: from the number of cores)."""

    torch: int = Field(0, ge=0, description="inside embedding and training")
    cluster: int = Field(1, ge=1, description="inside the clusterer")


class LogConfig(Section):
    """Log lines on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Config(Section):
    """The whole configuration; `configs/default.yaml` says the same, and a test proves it."""

    seed: int = Field(0, ge=0, description="of every random generator")
    device: str = Field("auto", description="auto | cpu | cuda | cuda:N | mps")
    ingest_as: str = Field(
        "",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,39})?$",
        description="a name of its own: only take pictures in, for the agent that learns on the same database",
    )
    folder: FolderConfig = FolderConfig()
    camera: CameraConfig = CameraConfig()
    push: PushConfig = PushConfig()
    decode: DecodeConfig = DecodeConfig()
    inbox: InboxConfig = InboxConfig()
    encoder: EncoderConfig = EncoderConfig()
    augment: AugmentConfig = AugmentConfig()
    learner: LearnerConfig = LearnerConfig()
    replay: ReplayConfig = ReplayConfig()
    ewc: EwcConfig = EwcConfig()
    publish: PublishConfig = PublishConfig()
    cluster: ClusterConfig = ClusterConfig()
    storage: StorageConfig = StorageConfig()
    threads: ThreadsConfig = ThreadsConfig()
    log: LogConfig = LogConfig()
