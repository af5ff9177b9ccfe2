"""The configuration section ``hact``; nothing here imports torch or scikit-image."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, Literal

from al.paths import first_root

from ..settings import (
    Count,
    EnsembleSettings,
    Few,
    Many,
    NotNegative,
    Positive,
    Settings,
    Text,
    Workers,
    setting,
)

BUILD = "build"
ORIGINAL = "histocartography"  # the library of HACT-Net's authors makes the graphs
FORMAT, GRAPH_FORMAT = 1, 1  # of what is prepared and of the method; others make all graphs anew
Range = tuple[Positive, Positive]


class GraphSettings(Settings):
    """Settings of the graphs; the defaults are for 40x, 0.25 um a pixel.

    ``neighbours``, ``max_distance``, ``superpixel_size``, ``compactness``, ``tissue_downsample``
    and the patches are those published with HACT-Net for BRACS (Pati et al., Medical Image
    Analysis 2022); how nuclei are found and superpixels merged is this project's.
    """

    learner: ClassVar[str] = "hact"

    neighbours: Many = setting(
        5, "Nearest nuclei that an edge leads to from each nucleus.", "preparation"
    )
    max_distance: Positive = setting(
        50.0, "Longest edge between the centroids of two nuclei, pixels.", "preparation"
    )
    nucleus_diameter: Range = setting(
        (12.0, 80.0),
        "Smallest and largest diameter of a nucleus, pixels; sets the smoothing, the distance of "
        "seeds and the overlap of tiles.",
        "preparation",
    )
    nucleus_area: Range | None = setting(
        None,
        "Smallest and largest area of what is kept, square pixels; null: of discs of "
        "`nucleus_diameter`.",
        "preparation",
    )
    nucleus_contrast: Positive = setting(
        0.15,
        "Optical density (base e) by which the haematoxylin of nuclei exceeds that of the rest at "
        "least, before anything is taken for a nucleus.",
        "preparation",
    )
    superpixel_size: Count = setting(
        500, "Area of a superpixel before merging, pixels of the downsampled image.", "preparation"
    )
    max_superpixels: Count = setting(
        10_000, "Their number before merging; in larger images they are larger.", "preparation"
    )
    compactness: Positive = setting(
        20.0, "Of SLIC, weight of closeness against likeness of colour.", "preparation"
    )
    merge_threshold: NotNegative = setting(
        8.0,
        "Difference in mean colour (CIE Lab, Euclidean) up to which neighbours of common size "
        "merge; larger ones must be more alike.",
        "preparation",
    )
    tissue_downsample: Few = setting(
        4, "Superpixels are found in means over so many pixels squared.", "preparation"
    )
    weights: Text | None = setting(
        None,
        "File of torchvision's ResNet-18, -34, -50 or -101, whose outputs become the features of "
        "nodes; null: handcrafted features.",
        "preparation",
    )
    nucleus_patch: Many = setting(
        72, "Side of the square around a nucleus that the network sees, pixels.", "preparation"
    )
    tissue_patch: Many = setting(
        144, "Side of the squares of a superpixel that the network sees, pixels.", "preparation"
    )

    def check(self, task: str | None, classes: int | None) -> None:
        """Refuse ranges that are none. Raises ConfigError."""
        super().check(task, classes)
        for key in ("nucleus_diameter", "nucleus_area"):
            value = getattr(self, key)
            if value is not None and value[0] >= value[1]:
                self.refuse(key, "[smallest, largest], smallest below largest")
        if self.nucleus_diameter[0] < 3:
            self.refuse("nucleus_diameter", "[smallest, largest], smallest from 3")

    @property
    def areas(self) -> tuple[float, float]:
        """Smallest and largest area of a nucleus, square pixels."""
        if self.nucleus_area is not None:
            return self.nucleus_area
        low, high = (math.pi / 4 * diameter**2 for diameter in self.nucleus_diameter)
        return low, high


class HactSettings(EnsembleSettings, GraphSettings):
    """Settings of ``hact``, those of graphs flat beside its own."""

    learner: ClassVar[str] = "hact"
    tasks: ClassVar[frozenset[str]] = frozenset({"roi"})
    has_features: ClassVar[bool] = True
    prepares: ClassVar[bool] = True

    graphs: Text = setting(
        BUILD,
        "`build` makes them from the images; `histocartography` lets the original library make "
        "them in an environment of its own (--sdm conda) and imports them; otherwise the folder of "
        "imported ones, whose names are those of the images' files without suffix.",
        "preparation",
    )
    published: str | None = setting(
        None,
        "Where `histocartography` leaves its graphs, for all runs; null: "
        "data/histocartography/DATASET-DIGITS.",
        "preparation",
    )
    nuclei_model: str | None = setting(
        None, "Its weights of the nuclei detector; null: the library downloads them.", "preparation"
    )
    stain_target: str | None = setting(
        None,
        "Image to whose stain it normalises all others; null: no normalisation.",
        "preparation",
    )
    graph_shards: int = setting(
        16, "Files (and jobs) the graphs of a dataset are made in.", "preparation", ge=1, le=999
    )
    standardise: bool | Literal["auto"] = setting(
        "auto",
        "Node features less their mean, divided by their deviation, over all nodes of what is "
        "prepared; `auto`: handcrafted features only.",
    )
    width: Many = setting(128, "Of a node's features between the layers.")
    layers: Few = setting(4, "Of message passing, in either graph.")
    hidden: Many = setting(128, "Width of the classifier's hidden layer.")
    average_degree: Positive = setting(4.0, "Of a node, by which the aggregation scales.")
    dropout: float = setting(
        0.2, "Share of a layer's values that a training step leaves out.", ge=0, lt=1
    )
    readout: Literal["mean", "sum"] = setting(
        "mean", "How the nodes of the tissue become those of a RoI."
    )
    batch: Many = setting(16, "RoIs per step.")
    learning_rate: Positive = setting(5e-4, "Of the first step; it falls along a cosine.")
    weight_decay: NotNegative = setting(5e-4, "Of Adam.")
    validation: Literal["revealed", "none"] = setting(
        "revealed",
        "`revealed` keeps the weights that score best on annotated RoIs of the validation set, "
        "where there are any; `none` the last ones.",
    )
    start: Literal["scratch", "previous"] = setting(
        "scratch", "Weights of the first step: random (`scratch`) or of the cycle before."
    )
    checkpoint_every: Count = setting(100, "Steps between resume checkpoints.", "nothing")
    workers: Workers | None = setting(None, "Processes that build graphs; null: one.", "nothing")
    cache_gb: NotNegative = setting(
        4.0,
        "Memory for graphs of annotated RoIs, GB; the others are read when they are used.",
        "nothing",
    )
    max_nodes: Count = setting(
        60_000, "Nuclei and superpixels that are predicted at a time.", "nothing"
    )

    def is_checked(self) -> bool:
        """Always."""
        return True

    def check(self, task: str | None, classes: int | None) -> None:
        """Refuse values that do not fit each other. Raises ConfigError."""
        super().check(task, classes)
        if self.width % 2 and self.layers % 2:  # half of their product is the LSTM's width
            self.refuse("width", "an even number, or an even number of layers")
        for key in ("published", "nuclei_model", "stain_target"):
            if getattr(self, key) is not None and self.graphs != ORIGINAL:
                self.refuse(key, f"null; with graphs: {ORIGINAL} a path")

    @property
    def builds(self) -> bool:
        """Whether graphs are made from the images."""
        return self.graphs == BUILD

    @property
    def runs_network(self) -> bool:
        """Whether a network makes the features of the nodes that are built."""
        return self.builds and self.weights is not None

    @property
    def imported_from(self) -> str:
        """Folder of the shards that are imported; meaningless where graphs are built."""
        return f"{self.published}/shards" if self.graphs == ORIGINAL else self.graphs

    @classmethod
    def completed(cls, section: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return a section in which the folder of the original library's graphs is named.

        Its digits follow from the images and from what the library is given.
        """
        if section.get("graphs") != ORIGINAL or section.get("published"):
            return {**section}
        given = [str(section.get(key)) for key in ("nuclei_model", "stain_target")]
        root = first_root(settings)
        decides = json.dumps([root, settings["layout_options"], *given], sort_keys=True)
        digits = sha256(decides.encode()).hexdigest()[:10]
        return {**section, "published": f"data/{ORIGINAL}/{settings['dataset']}-{digits}"}

    @classmethod
    def made_by(cls) -> list[Any]:
        """Return what else decides what is prepared: forms of files, scikit-image's version."""
        try:
            from .graph_file import VERSION

            return [FORMAT, GRAPH_FORMAT, VERSION, version("scikit-image")]
        except (ImportError, PackageNotFoundError):  # built elsewhere, or will be refused
            return [FORMAT, GRAPH_FORMAT, None, None]

    def preparation(self) -> dict[str, Any]:
        """Return what decides the graphs, as JSON can hold it."""
        found = super().preparation()
        unused = () if self.builds else tuple(GraphSettings.model_fields)
        if self.graphs != ORIGINAL:
            unused += ("published", "nuclei_model", "stain_target")
        return {key: value for key, value in found.items() if key not in unused}

    def uses_validation(self) -> bool:
        """Whether annotated validation RoIs choose the weights."""
        return self.validation == "revealed"

    def regions_per_step(self) -> int:
        """Return ``batch``."""
        return self.batch

    def parts(self) -> int:
        """Return ``graph_shards``."""
        return self.graph_shards

    def prepares_on_gpu(self) -> bool:
        """Whether a network makes the features of nodes, on CUDA where there is one."""
        return self.runs_network and self.device != "cpu"
