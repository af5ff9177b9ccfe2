"""What every learner offers. Nothing here imports torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from al.io.errors import ConfigError
from al.io.records import Record
from al.io.tables import LabelRow, PoolRow
from decomp_core import Region

from .settings import UNCERTAINTIES, LearnerSettings, measures

if TYPE_CHECKING:
    from al.layouts.grid import Grid

POOLINGS = ("mean", "max")
NEEDS = ("labels", "uncertainty")

# Scores a function that predicts the classes of an image, higher is better.
Scorer = Callable[[Callable[[PoolRow], np.ndarray]], float]


class ImageSource(Protocol):
    """The part of a layout that a learner uses: images, never ground truth."""

    def open_image(self, row: PoolRow) -> np.ndarray:
        """Return (H, W, 3) uint8, or (D, H, W) float32 for a volume."""
        ...


class VolumeSource(ImageSource, Protocol):
    """What a layout of volumes offers beside: the file's own grid, and where it lies."""

    def open_full(self, row: PoolRow) -> np.ndarray:
        """Return a volume on the file's grid, (D, H, W) float32."""
        ...

    def affine(self, row: PoolRow) -> np.ndarray:
        """Return the file's affine from array axes to mm, (4, 4) float64."""
        ...

    def grid_of(self, row: PoolRow) -> Grid:
        """Return the file's grid and the annotator's, which ``open_image`` answers on."""
        ...


@dataclass(frozen=True)
class FitJob:
    """One training.

    Attributes:
        layout: opens images; a learner never asks it for labels.
        rows: pool rows by key (image, or image/roi).
        labels: where the revealed labels are; the only source of labels.
        out: folder of the finished model, filled elsewhere and renamed.
        work: folder of the lock and the resume checkpoints.
        seed: decides initial weights and every batch.
        steps: number of optimiser steps.
        settings: the learner's section of the configuration.
        classes: class names, in index order.
        task: ``2d``, ``3d`` or ``roi``.
        previous: finished model of the cycle before, if there is one.
        held_out: revealed regions by image that a training may be validated on and does not learn
            from; only of learners whose settings ask for it.
        score: scores the images that the run is scored on, without showing their labels; only of
            learners whose settings ask for it.
        prepared: folder that ``Preparing.prepare`` filled; of those learners.
        before: statistics of the training of the cycle before, if there is one.
        validation: revealed labels of validation images, whose rows are among ``rows``: a training
            may be steered by them and does not learn from them.
    """

    layout: ImageSource
    rows: Mapping[str, PoolRow]
    labels: Sequence[LabelRow]
    out: Path
    work: Path
    seed: int
    steps: int
    settings: Mapping[str, Any]
    classes: Sequence[str]
    task: str
    previous: Path | None = None
    held_out: Mapping[str, Sequence[Region]] = field(default_factory=dict)
    score: Scorer | None = None
    prepared: Path | None = None
    before: Mapping[str, Any] | None = None
    validation: Sequence[LabelRow] = ()


@dataclass(frozen=True)
class Request:
    """What a prediction record must hold.

    Attributes:
        needs: of ``labels`` and ``uncertainty``: the maps wanted beside the statistics.
        thresholds: confidences; ``confident`` counts run once for each.
        uncertainty: measure of the map and of its mean; ``mutual_information`` needs an ensemble.
    """

    needs: frozenset[str]
    thresholds: tuple[float, ...]
    uncertainty: str = "entropy"

    def __post_init__(self) -> None:
        unknown = sorted(set(self.needs) - set(NEEDS))
        if unknown:
            raise ConfigError(f"needs: unknown {unknown}; allowed: {', '.join(NEEDS)}")
        if self.uncertainty not in UNCERTAINTIES:
            raise ConfigError(
                f"uncertainty: {self.uncertainty!r}; allowed: {', '.join(UNCERTAINTIES)}"
            )
        wrong = [t for t in self.thresholds if not 0 <= t <= 1]
        if wrong:
            raise ConfigError(f"thresholds: {wrong}; allowed: 0 to 1")


@dataclass(frozen=True)
class Start:
    """What is known of a run before its first job.

    Attributes:
        classes: class names, in index order.
        rows: of the pool; empty where it is not known yet.
        layout: opens the images of the rows.
        here: whether jobs run on this machine, so that its devices are theirs.
        prepared: folder of what ``Preparing.prepare`` makes, which may not be there yet.
    """

    classes: Sequence[str]
    rows: Sequence[PoolRow]
    layout: ImageSource
    here: bool = True
    prepared: Path | None = None


Taken = Mapping[str, list[Region]] | Mapping[str, set[str]]
Maps = Iterator[tuple[PoolRow, np.ndarray, np.ndarray | None]]


class Model(ABC):
    """A trained model, ready to predict; what it does not do is refused.

    It may be an ensemble: probabilities are then the mean over its members; features and residuals,
    which are one network's own, come from the first.

    Attributes:
        settings: of the learner, as ``settings.of`` read them.
        layout: opens images; never asked for labels.
        members: number of networks.
        nested: classes behind each sigmoid output; empty where the classes are exclusive.
        order: class that each of these outputs writes.
        segments_full: whether ``segment`` takes ``full=True`` and then answers on the file's grid
            of a volume.
    """

    settings: LearnerSettings
    layout: Any
    members: int = 1
    nested: Sequence[Sequence[int]] = ()
    order: Sequence[int] = ()
    segments_full: ClassVar[bool] = False

    @abstractmethod
    def predict(self, rows: Sequence[PoolRow], taken: Taken, request: Request) -> Iterator[Record]:
        """Yield one record per image, in the order of ``rows``; counts leave out what is ``taken``.

        Raises:
            ConfigError: at once, for an uncertainty that the model does not have.
        """

    def probabilities(self, rows: Sequence[PoolRow], disagreement: bool = False) -> Maps:
        """Yield each row with its class probabilities, (C, *spatial) float32; not for RoIs.

        With ``disagreement`` also the mutual information between class and member, (*spatial)
        float32 in nats, from 0; otherwise ``None``.

        Raises:
            ConfigError: at once, for RoIs, for classes without softmax, for ``disagreement``
                without an ensemble.
        """
        raise self._has_no_maps()

    def segment(self, row: PoolRow, full: bool = False) -> np.ndarray:
        """Return the most probable (nested: decoded) classes of one image, uint8 in its shape.

        ``full``, on the file's grid of a volume, where the model has ``segments_full``.
        """
        raise self._has_no_maps()

    def classify(self, rows: Sequence[PoolRow]) -> np.ndarray:
        """Return class probabilities of RoIs, (M, C) float32."""
        raise self._has_no_rois()

    def embed(self, row: PoolRow, regions: Sequence[Region], pooling: str = "mean") -> np.ndarray:
        """Return features of regions of one image, (R, F) float32, of the first member.

        ``mean``: averaged over the region, of length 1. ``max``: the largest that touches the
        region, as it is (BADGE).

        Raises:
            ConfigError: regions have no features.
            ValueError: for another ``pooling`` or a region that leaves the image.
        """
        raise self._has_no_features()

    def residuals(self, row: PoolRow, regions: Sequence[Region]) -> np.ndarray:
        """Return p - onehot(argmax p) averaged over each region, (R, C) float32 (BADGE).

        Of the first member, so that they match its features. Of nested classes (R, K): p less the
        outputs that the decoded class belongs to (ours).

        Raises:
            ConfigError: regions have no features.
            ValueError: for a region that leaves the image.
        """
        raise self._has_no_features()

    def embed_rois(self, rows: Sequence[PoolRow], unit: bool = True) -> np.ndarray:
        """Return features of RoIs, (M, F) float32, of the first member.

        Of length 1, or with ``unit=False`` as the last linear layer sees them (BADGE).
        """
        raise self._has_no_rois()

    def residuals_rois(self, rows: Sequence[PoolRow]) -> np.ndarray:
        """Return p - onehot(argmax p) of RoIs, (M, C) float32, of the first member (BADGE)."""
        raise self._has_no_rois()

    def check_measure(self, measure: str) -> None:
        """Refuse an uncertainty that the model does not have. Raises ConfigError."""
        allowed = measures(self.members, bool(self.order))
        if measure in allowed:
            return
        name = self.settings.learner
        reason = f"learner {name} trains one network"
        if self.order:
            reason = f"{name}.nested is set"
        elif "members" in type(self.settings).model_fields:
            reason = f"it needs an ensemble, and {name}.members is {self.members}"
        raise ConfigError(f"uncertainty: {measure!r}; allowed: {', '.join(allowed)} ({reason})")

    def _has_no_maps(self) -> ConfigError:
        return ConfigError("task: 'roi'; maps are for tasks 2d and 3d")

    def _has_no_rois(self) -> ConfigError:
        tasks = sorted(self.settings.tasks)
        done = f"task{'s' if len(tasks) > 1 else ''} {', '.join(tasks)}"
        return ConfigError(f"task: 'roi'; learner {self.settings.learner} does {done}")

    def _has_no_features(self) -> ConfigError:
        return ConfigError(f"learner: {self.settings.learner!r} has no features of regions")
