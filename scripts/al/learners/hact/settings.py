"""The configuration section ``hact``: defaults, checks, what belongs to the science of a run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from al.io.errors import ConfigError, nearest
from al.io.tables import PoolRow

from ..nested import measures
from .graph_settings import FORMAT as GRAPH_FORMAT
from .graph_settings import GraphSettings

BUILD = "build"
ORIGINAL = "histocartography"  # the library of HACT-Net's authors makes the graphs
FORMAT = 1  # of what is prepared; another number makes everything anew
CHOICES = {
    "readout": ("mean", "sum"),
    "standardise": ("auto", True, False),
    "validation": ("revealed", "none"),
    "start": ("scratch", "previous"),
    "member_labels": ("all", "folds"),
    "device": ("auto", "cpu", "cuda"),
}
COUNTS = (
    "graph_shards", "width", "layers", "hidden", "batch", "members", "checkpoint_every", "threads",
    "max_nodes",
)  # fmt: skip
# Where and how fast something runs, or how the finished model is used: not part of the training.
MACHINE = ("checkpoint_every", "threads", "workers", "device", "cache_gb", "max_nodes")
# May be changed in the middle of a run.
RUNTIME = ("checkpoint_every", "threads", "workers", "cache_gb", "max_nodes")
# Decide what is made once per dataset, beside the fields of GraphSettings.
PREPARATION = ("graphs", "graph_shards")
# Likewise, of graphs that the original library makes.
OF_ORIGINAL = ("published", "nuclei_model", "stain_target")
# Left out of the key where they change nothing, so that it is the key of a single network.
ENSEMBLE = ("members", "member_labels")


@dataclass(frozen=True)
class HactSettings:
    """Settings of ``hact``; those of ``GraphSettings`` lie flat beside them in the section.

    Attributes:
        graphs: ``build`` makes them from the images; ``histocartography`` lets the original library
            make them in an environment of its own (``--sdm conda``) and imports them; otherwise the
            folder of imported ones, whose names are those of the images' files without suffix.
        published: where ``histocartography`` leaves its graphs, for all runs; ``None``:
            ``data/histocartography/DATASET-DIGITS``.
        nuclei_model: its weights of the nuclei detector; ``None``: the library downloads them.
        stain_target: image to whose stain it normalises all others; ``None``: no normalisation.
        graph_shards: files (and jobs) the graphs of a dataset are made in.
        standardise: node features less their mean, divided by their deviation, over all nodes of
            what is prepared; ``auto``: handcrafted features only.
        width: of a node's features between the layers.
        layers: of message passing, in either graph.
        hidden: width of the classifier's hidden layer.
        average_degree: of a node, by which the aggregation scales.
        dropout: share of a layer's values that a training step leaves out.
        readout: how the nodes of the tissue become those of a RoI: ``mean``, ``sum``.
        batch: RoIs per step.
        learning_rate: of the first step; it falls along a cosine.
        weight_decay: of Adam.
        validation: ``revealed`` keeps the weights that score best on annotated RoIs of the
            validation set, where there are any; ``none`` the last ones.
        start: weights of the first step: random (``scratch``) or of the cycle before.
        members: networks of an ensemble; their probabilities are averaged.
        member_labels: what a member learns from: ``all``, so that members differ by their seed, or
            ``folds``: member i leaves out fold i of the annotated images.
        checkpoint_every: steps between resume checkpoints.
        device: ``auto`` takes CUDA where there is one.
        threads: of the CPU; more than 1 may change the last bits of a training.
        workers: processes that build graphs; ``None``: one.
        cache_gb: memory for graphs of annotated RoIs; the others are read when they are used.
        max_nodes: nuclei and superpixels that are predicted at a time.
        graph: how graphs are built.
    """

    graphs: str = BUILD
    published: str | None = None
    nuclei_model: str | None = None
    stain_target: str | None = None
    graph_shards: int = 16
    standardise: bool | str = "auto"
    width: int = 128
    layers: int = 4
    hidden: int = 128
    average_degree: float = 4.0
    dropout: float = 0.2
    readout: str = "mean"
    batch: int = 16
    learning_rate: float = 5e-4
    weight_decay: float = 5e-4
    validation: str = "revealed"
    start: str = "scratch"
    members: int = 1
    member_labels: str = "all"
    checkpoint_every: int = 100
    device: str = "auto"
    threads: int = 1
    workers: int | None = None
    cache_gb: float = 4.0
    max_nodes: int = 60_000
    graph: GraphSettings = field(default_factory=GraphSettings)

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> HactSettings:
        """Read and check the configuration section.

        Raises:
            ConfigError: naming the key, its value and what is allowed.
        """
        own = [f.name for f in fields(cls) if f.name != "graph"]
        of_graphs = [f.name for f in fields(GraphSettings)]
        for key in section:
            if key not in own and key not in of_graphs:
                raise ConfigError(f"hact.{key}: unknown key; {nearest(key, own + of_graphs)}")
        values = {key: _tuples(value) for key, value in section.items()}
        graph = GraphSettings(**{key: values[key] for key in of_graphs if key in values})
        settings = cls(**{key: values[key] for key in own if key in values}, graph=graph)
        _check(settings)
        graph.check()
        return settings

    @property
    def builds(self) -> bool:
        """Whether graphs are made from the images."""
        return self.graphs == BUILD

    @property
    def runs_network(self) -> bool:
        """Whether a network makes the features of the nodes that are built."""
        return self.builds and self.graph.weights is not None

    @property
    def imported_from(self) -> str:
        """Folder of the shards that are imported; meaningless where graphs are built."""
        return f"{self.published}/shards" if self.graphs == ORIGINAL else self.graphs

    def science(self) -> dict[str, Any]:
        """Return what decides the trained weights beside the graphs, for the key of a training."""
        left_out = (
            *MACHINE,
            *PREPARATION,
            *OF_ORIGINAL,
            "graph",
            *(ENSEMBLE if self.members == 1 else ()),
        )
        return {k: v for k, v in asdict(self).items() if k not in left_out}

    def preparation(self) -> dict[str, Any]:
        """Return what decides the graphs, as JSON can hold it."""
        keys = (*PREPARATION, *(OF_ORIGINAL if self.graphs == ORIGINAL else ()))
        found: dict[str, Any] = {key: getattr(self, key) for key in keys}
        return json.loads(json.dumps({**found, **(asdict(self.graph) if self.builds else {})}))


def check(section: Mapping[str, Any], task: str, classes: int | None = None) -> None:
    """Refuse a section that cannot be used.

    Raises:
        ConfigError: naming the key, its value and what is allowed.
    """
    HactSettings.of(section)


def check_start(
    section: Mapping[str, Any],
    classes: Sequence[str],
    rows: Sequence[PoolRow],
    here: bool,
    layout: Any,
    prepared: Path | None,
) -> None:
    """Refuse what would fail in the first job; see ``learners.Description.check_start``."""
    try:
        from .preflight import check_all
    except ImportError as error:
        raise ConfigError(
            f"learner hact: {error}; install it with: make venv EXTRAS=workflow,slurm,hact,dev"
        ) from None
    check_all(HactSettings.of(section), rows, here, prepared)


def identity(
    section: Mapping[str, Any], classes: Sequence[str], rows: Sequence[PoolRow], layout: Any
) -> dict[str, Any]:
    """Return what the imported graphs are."""
    from .preflight import identify

    return identify(HactSettings.of(section))


def preparation(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides the graphs, as JSON can hold it."""
    return HactSettings.of(section).preparation()


def completed(section: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section in which the folder of the original library's graphs is named.

    Its digits follow from the images and from what the library is given.
    """
    if section.get("graphs") != ORIGINAL or section.get("published"):
        return {**section}
    given = [str(section.get(key)) for key in ("nuclei_model", "stain_target")]
    decides = [str(Path(str(settings["data_root"])).resolve()), settings["layout_options"], *given]
    digits = sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:10]
    return {**section, "published": f"data/{ORIGINAL}/{settings['dataset']}-{digits}"}


def batch(section: Mapping[str, Any]) -> int:
    """Return the RoIs of a step. Raises ConfigError."""
    return HactSettings.of(section).batch


def parts(section: Mapping[str, Any]) -> int:
    """Return the number of shards that graphs are made in. Raises ConfigError."""
    return HactSettings.of(section).graph_shards


def prepares_on_gpu(section: Mapping[str, Any]) -> bool:
    """Whether a network makes the features of nodes, on CUDA where there is one."""
    settings = HactSettings.of(section)
    return settings.runs_network and settings.device != "cpu"


def made_by() -> list[Any]:
    """Return what else decides what is prepared: the form of the files, scikit-image's version."""
    try:
        from .graph_file import VERSION

        return [FORMAT, GRAPH_FORMAT, VERSION, version("scikit-image")]
    except (ImportError, PackageNotFoundError):  # built elsewhere, or will be refused
        return [FORMAT, GRAPH_FORMAT, None, None]


def members(section: Mapping[str, Any]) -> int:
    """Return the number of networks that a section asks for. Raises ConfigError."""
    return HactSettings.of(section).members


def uses_validation(section: Mapping[str, Any]) -> bool:
    """Whether annotated validation RoIs choose the weights. Raises ConfigError."""
    return HactSettings.of(section).validation == "revealed"


def uncertainties(section: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the uncertainty measures of models trained with a section."""
    return measures(members(section), False)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _refuse(key: str, value: Any, allowed: str) -> None:
    raise ConfigError(f"hact.{key}: {value!r}; allowed: {allowed}")


def _whole(value: Any, lowest: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= lowest


def _number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _check(settings: HactSettings) -> None:
    for key, allowed in CHOICES.items():
        value = getattr(settings, key)
        # 1 and 0 equal true and false, and are none.
        if not any(value is choice or (isinstance(value, str) and value == choice)
                   for choice in allowed):  # fmt: skip
            _refuse(key, value, ", ".join(str(choice).lower() for choice in allowed))
    for key in COUNTS:
        if not _whole(getattr(settings, key)):
            _refuse(key, getattr(settings, key), "a whole number from 1")
    if settings.graph_shards > 999:  # three digits in the names of the files
        _refuse("graph_shards", settings.graph_shards, "1 to 999")
    if settings.workers is not None and not _whole(settings.workers, 0):
        _refuse("workers", settings.workers, "a whole number from 0, or null")
    for key, lowest, open_end in (
        ("learning_rate", 0, True), ("average_degree", 0, True), ("weight_decay", 0, False),
        ("cache_gb", 0, False),
    ):  # fmt: skip
        value = getattr(settings, key)
        if not _number(value) or value < lowest or (open_end and value == lowest):
            _refuse(key, value, f"a number {'above' if open_end else 'from'} {lowest}")
    if not _number(settings.dropout) or not 0 <= settings.dropout < 1:
        _refuse("dropout", settings.dropout, "0 to below 1")
    if settings.width % 2 and settings.layers % 2:  # half of their product is the LSTM's width
        _refuse("width", settings.width, "an even number, or an even number of layers")
    if not isinstance(settings.graphs, str) or not settings.graphs:
        _refuse("graphs", settings.graphs, f"{BUILD}, {ORIGINAL}, or the folder of imported graphs")
    for key in OF_ORIGINAL:
        value = getattr(settings, key)
        if value is not None and (settings.graphs != ORIGINAL or not isinstance(value, str)):
            _refuse(key, value, f"null; with graphs: {ORIGINAL} a path")
