"""Models of maps and of RoIs: from the outputs of networks to what a model is asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from al.io.errors import ConfigError
from al.io.records import Record
from al.io.tables import PoolRow
from decomp_core import Region

from .base import Maps, Model, Request, Taken
from .nested import nested_targets
from .record import Slab, decide, entropy_of, free_of, record_of, record_of_rois
from .regions import mean_residuals, unit_length

# A part of an image along its first axis, with each member's outputs there: (C, *part) float32, of
# nested classes sigmoids (K, *part).
Part = tuple[slice, Iterable[Tensor]]


class MapModel(Model):
    """Predicts maps of images.

    Attributes:
        classes: number of classes, background included.
    """

    classes: int

    @abstractmethod
    def outputs(
        self, rows: Sequence[PoolRow], full: bool = False
    ) -> Iterator[tuple[PoolRow, Iterator[Part]]]:
        """Yield each row with the parts of its image, one after the other."""

    def predict(self, rows: Sequence[PoolRow], taken: Taken, request: Request) -> Iterator[Record]:
        """Yield one record per image; see ``Model``."""
        self.check_measure(request.uncertainty)
        spread = request.uncertainty == "mutual_information"
        return (
            record_of(
                row.image,
                map(lambda part: averaged(part, spread), parts),
                row.shape,
                self.classes,
                request,
                free_of(taken.get(row.image, ()), row.shape),
                self.order,
            )
            for row, parts in self.outputs(rows)
        )

    def probabilities(self, rows: Sequence[PoolRow], disagreement: bool = False) -> Maps:
        """Yield rows, probabilities and mutual information; see ``Model``."""
        if self.order:
            name = self.settings.learner
            raise ConfigError(f"{name}.nested: ClaSP PE needs softmax classes; allowed: null")
        if disagreement:
            self.check_measure("mutual_information")
        return ((row, *_joined(parts, disagreement)) for row, parts in self.outputs(rows))

    def segment(self, row: PoolRow, full: bool = False) -> np.ndarray:
        """Return the classes of one image; see ``Model``."""
        ((_, parts),) = self.outputs([row], full)
        means = (averaged(part, False)[1] for part in parts)
        return np.concatenate([decide(p, self.order)[0].cpu().numpy() for p in means])

    def residuals(self, row: PoolRow, regions: Sequence[Region]) -> np.ndarray:
        """Return p less the outputs of the decided class, averaged; see ``Model``."""
        if not self.settings.has_features:
            raise self._has_no_features()
        ((_, parts),) = self.outputs([row])
        p = torch.cat([next(iter(members)) for _, members in parts], 1)
        if not self.order:
            return mean_residuals(p, regions)
        targets = torch.from_numpy(nested_targets(self.nested, self.classes))
        return mean_residuals(p, regions, targets, lambda inside: decide(inside, self.order)[0])


def averaged(part: Part, spread: bool) -> Slab:
    """Return a part with the mean over the members, and (``spread``) the mean of their entropy."""
    where, members = part[0], iter(part[1])
    mean, count = next(members), 1
    entropy = entropy_of(mean) if spread else None
    for p in members:
        count += 1
        mean = mean + p
        entropy = None if entropy is None else entropy + entropy_of(p)
    if count == 1:
        return where, mean, entropy
    return where, mean / count, None if entropy is None else entropy / count


def _joined(parts: Iterator[Part], spread: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Return probabilities and mutual information of a whole image."""
    maps, information = [], []
    for part in parts:
        _, p, entropy = averaged(part, spread)
        maps.append(p.cpu().numpy())
        if entropy is not None:
            information.append((entropy_of(p) - entropy).clamp(min=0).cpu().numpy())
    return np.concatenate(maps, 1), np.concatenate(information) if information else None


class RoiModel(Model):
    """Classifies RoIs."""

    @abstractmethod
    def roi_outputs(
        self, rows: Sequence[PoolRow], method: str, members: Sequence[int] = (0,)
    ) -> np.ndarray:
        """Return logits (``forward``) or ``features`` of members, (members, M, C or F) float32."""

    def predict(self, rows: Sequence[PoolRow], taken: Taken, request: Request) -> Iterator[Record]:
        """Yield one record per image, in the order of ``rows``; see ``Model``."""
        self.check_measure(request.uncertainty)
        images: dict[str, list[PoolRow]] = {}
        for row in rows:
            images.setdefault(row.image, []).append(row)
        return (self._record(image, rois, taken, request) for image, rois in images.items())

    def _record(self, image: str, rois: list[PoolRow], taken: Taken, request: Request) -> Record:
        values, entropy = self._average(rois)
        names = tuple(row.roi for row in rois)
        return record_of_rois(image, names, values, taken.get(image, ()), request, entropy)

    def classify(self, rows: Sequence[PoolRow]) -> np.ndarray:
        """Return class probabilities of RoIs, (M, C) float32, mean of the members."""
        return self._average(rows)[0]

    def embed_rois(self, rows: Sequence[PoolRow], unit: bool = True) -> np.ndarray:
        """Return what the last linear layer sees of each RoI; see ``Model``."""
        (values,) = self.roi_outputs(rows, "features")
        return unit_length(values) if unit else values

    def residuals_rois(self, rows: Sequence[PoolRow]) -> np.ndarray:
        """Return p - onehot(argmax p) of RoIs; see ``Model``."""
        (logits,) = self.roi_outputs(rows, "forward")
        p = torch.from_numpy(logits).softmax(1)
        return (p - torch.nn.functional.one_hot(p.argmax(1), p.shape[1])).numpy()

    def _average(self, rows: Sequence[PoolRow]) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean over the members of probabilities, (M, C), and of their entropy, (M,)."""
        p = torch.from_numpy(self.roi_outputs(rows, "forward", range(self.members))).softmax(2)
        return p.mean(0).numpy(), entropy_of(p.movedim(2, 0)).mean(0).numpy()
