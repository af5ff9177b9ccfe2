"""What the learners on torch share: one way to fit, the model loaded last, maps and RoIs of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from al.io.errors import ConfigError
from al.io.locking import locked
from al.io.records import Record
from al.io.tables import PoolRow

from .base import FitJob, ImageSource, Learner, Maps, Request, Taken
from .ensemble import members_in, train_members
from .record import Slab, decide, entropy_of, free_of, record_of, record_of_rois
from .regions import unit_length
from .settings import measures
from .training import WEIGHTS, Training, choose_device


class Model(Protocol):
    """A model ready to predict.

    Attributes:
        classes: number of classes, background included.
        members: number of networks.
        order: class that each sigmoid output writes; empty where the classes are exclusive.
    """

    @property
    def classes(self) -> int: ...

    @property
    def members(self) -> int: ...

    @property
    def order(self) -> tuple[int, ...]: ...


class TorchLearner(Learner):
    """Fits, and keeps the model that it loaded last."""

    def __init__(self) -> None:
        self._last: tuple[tuple[Any, ...], Any] | None = None

    @abstractmethod
    def trainings(
        self, job: FitJob, settings: Any, device: torch.device
    ) -> Callable[[FitJob], Training]:
        """Return what makes the training of ``job`` or of a member of it.

        Called under the lock of ``job.work``, with the settings of one network.
        """

    @abstractmethod
    def open(self, members: Sequence[Path], settings: Any, device: torch.device) -> Any:
        """Return the ``Model`` whose networks lie in these folders."""

    def task_of(self, member: Path) -> str | None:
        """Return the task that a network was trained for, where settings depend on it."""
        return None

    def fit(self, job: FitJob) -> dict[str, Any]:
        """Train a network or an ensemble under one lock."""
        settings = self.settings.of(job.settings, job.task, len(job.classes))
        if job.steps < 1:
            raise ConfigError(f"steps: {job.steps}; allowed: a whole number from 1")
        device = choose_device(settings.device, self.name)
        torch.set_num_threads(settings.threads)
        folds = getattr(settings, "member_labels", "all") == "folds"
        with locked(job.work):
            make = self.trainings(job, settings.single(), device)
            return train_members(job, settings.networks(), folds, make)

    def load(self, model: Path, section: Mapping[str, Any]) -> Any:
        """Return a finished model: the last one while its folder, files and section are the same.

        Raises:
            FileNotFoundError: where there is none.
        """
        members = members_in(model)
        stamps = [(member / WEIGHTS).stat() for member in members]
        files = tuple((found.st_ino, found.st_mtime_ns) for found in stamps)
        key = (model, files, repr(sorted(section.items())))
        if self._last is None or self._last[0] != key:
            if not members:
                raise FileNotFoundError(
                    f"{model} holds no model: neither {WEIGHTS} nor member-0/{WEIGHTS}"
                )
            self._last = None
            settings = self.settings.of(section, self.task_of(members[0]))
            torch.set_num_threads(settings.threads)
            device = choose_device(settings.device, self.name)
            self._last = key, self.open(members, settings, device)
        return self._last[1]

    def check_measure(self, loaded: Model, measure: str) -> None:
        """Refuse an uncertainty that a model does not have. Raises ConfigError."""
        allowed = measures(loaded.members, bool(loaded.order))
        if measure in allowed:
            return
        reason = f"learner {self.name} trains one network"
        if loaded.order:
            reason = f"{self.name}.nested is set"
        elif "members" in self.settings.model_fields:
            reason = f"it needs an ensemble, and {self.name}.members is {loaded.members}"
        raise ConfigError(f"uncertainty: {measure!r}; allowed: {', '.join(allowed)} ({reason})")


class MapLearner(TorchLearner):
    """Predicts maps of images."""

    @abstractmethod
    def outputs(
        self,
        loaded: Any,
        layout: Any,
        rows: Sequence[PoolRow],
        spread: bool = False,
        full: bool = False,
    ) -> Iterator[tuple[PoolRow, Iterator[Slab]]]:
        """Yield each row with the slabs of its image, with the members' entropy if ``spread``."""

    def predict(
        self,
        model: Path,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        taken: Taken,
        request: Request,
        section: Mapping[str, Any],
    ) -> Iterator[Record]:
        """Yield one record per image; see ``Learner``."""
        loaded = self.load(model, section)
        self.check_measure(loaded, request.uncertainty)
        spread = request.uncertainty == "mutual_information"
        return (
            record_of(
                row.image,
                slabs,
                row.shape,
                loaded.classes,
                request,
                free_of(taken.get(row.image, ()), row.shape),
                loaded.order,
            )
            for row, slabs in self.outputs(loaded, layout, rows, spread)
        )

    def probabilities(
        self,
        model: Path,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        section: Mapping[str, Any],
        disagreement: bool = False,
    ) -> Maps:
        """Yield rows, probabilities and mutual information; see ``Learner``."""
        loaded = self.load(model, section)
        if loaded.order:
            raise ConfigError(f"{self.name}.nested: ClaSP PE needs softmax classes; allowed: null")
        if disagreement:
            self.check_measure(loaded, "mutual_information")
        found = self.outputs(loaded, layout, rows, disagreement)
        return ((row, *_joined(slabs)) for row, slabs in found)

    def segment(
        self,
        model: Path,
        layout: ImageSource,
        row: PoolRow,
        section: Mapping[str, Any],
        full: bool = False,
    ) -> np.ndarray:
        """Return the classes of one image; see ``Learner``."""
        loaded = self.load(model, section)
        ((_, slabs),) = self.outputs(loaded, layout, [row], full=full)
        return np.concatenate([decide(p, loaded.order)[0].cpu().numpy() for _, p, _ in slabs])


def _joined(slabs: Iterator[Slab]) -> tuple[np.ndarray, np.ndarray | None]:
    """Return probabilities and mutual information of a whole image."""
    maps, information = [], []
    for _, p, entropy in slabs:
        maps.append(p.cpu().numpy())
        if entropy is not None:
            information.append((entropy_of(p) - entropy).clamp(min=0).cpu().numpy())
    return np.concatenate(maps, 1), np.concatenate(information) if information else None


class RoiLearner(TorchLearner):
    """Classifies RoIs; its models have ``roi_outputs``."""

    def predict_rois(
        self,
        loaded: Any,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        taken: Taken,
        request: Request,
    ) -> Iterator[Record]:
        """Yield one record per image, in the order of ``rows``."""
        images: dict[str, list[PoolRow]] = {}
        for row in rows:
            images.setdefault(row.image, []).append(row)
        for image, rois in images.items():
            values, entropy = average_rois(loaded, layout, rois)
            names = tuple(row.roi for row in rois)
            yield record_of_rois(image, names, values, taken.get(image, ()), request, entropy)

    def classify(
        self, model: Path, layout: ImageSource, rows: Sequence[PoolRow], section: Mapping[str, Any]
    ) -> np.ndarray:
        """Return class probabilities of RoIs, (M, C) float32, mean of the members."""
        return average_rois(self.load(model, section), layout, rows)[0]

    def embed_rois(
        self,
        model: Path,
        layout: ImageSource,
        rows: Sequence[PoolRow],
        section: Mapping[str, Any],
        unit: bool = True,
    ) -> np.ndarray:
        """Return what the last linear layer sees of each RoI; see ``Learner``."""
        (values,) = self.load(model, section).roi_outputs(layout, rows, "features")
        return unit_length(values) if unit else values

    def residuals_rois(
        self, model: Path, layout: ImageSource, rows: Sequence[PoolRow], section: Mapping[str, Any]
    ) -> np.ndarray:
        """Return p - onehot(argmax p) of RoIs; see ``Learner``."""
        (logits,) = self.load(model, section).roi_outputs(layout, rows, "forward")
        p = torch.from_numpy(logits).softmax(1)
        return (p - torch.nn.functional.one_hot(p.argmax(1), p.shape[1])).numpy()


def average_rois(
    loaded: Any, layout: ImageSource, rows: Sequence[PoolRow]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over the members of the probabilities of RoIs, and of their entropy.

    Returns:
        (M, C) float32, and (M,) float32 in nats.
    """
    logits = loaded.roi_outputs(layout, rows, "forward", range(loaded.members))
    p = torch.from_numpy(logits).softmax(2)
    return p.mean(0).numpy(), entropy_of(p.movedim(2, 0)).mean(0).numpy()
