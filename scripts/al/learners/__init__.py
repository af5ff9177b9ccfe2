"""What trains and predicts. A learner's module is imported only when that learner is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from al.io.errors import ConfigError, nearest
from al.io.tables import PoolRow

from .base import FitJob, ImageSource, Learner, Preparing, Request, Scorer, VolumeSource

__all__ = [
    "LEARNERS",
    "FitJob",
    "ImageSource",
    "Learner",
    "Preparing",
    "Request",
    "Scorer",
    "VolumeSource",
    "describe_learner",
    "get_learner",
]


@dataclass(frozen=True)
class Description:
    """What the configuration is checked against without importing the learner (and torch).

    Attributes:
        place: module and class.
        settings: module with ``check(section, task, classes)``, which raises ConfigError,
            ``members(section)``, ``uncertainties(section)`` and ``RUNTIME``; where trainings can be
            validated ``validation(section)`` or ``uses_validation(section)``, where there is more
            to check before a run ``check_start``, where files decide results ``identity``, and
            where data are prepared ``preparation(section)`` and ``made_by()``; in parts
            ``parts(section)``, ``prepares_on_gpu(section)``. ``completed(section, settings)`` fills
            in defaults that follow from the rest, ``batch(section)`` counts epochs.
        tasks: what it does, of ``2d``, ``3d``, ``roi``.
        has_features: whether regions have features.
        prepares: whether the learner is ``Preparing``.
    """

    place: tuple[str, str]
    settings: str
    tasks: frozenset[str]
    has_features: bool
    prepares: bool = False

    def check(self, section: Mapping[str, Any], task: str, classes: int | None = None) -> None:
        """Refuse settings that the learner cannot use, with that number of classes if given."""
        import_module(self.settings).check(section, task, classes)

    def members_of(self, section: Mapping[str, Any]) -> int:
        """Return the number of networks in the ensemble that a section asks for."""
        return import_module(self.settings).members(section)

    def uncertainties_of(self, section: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the uncertainty measures of models trained with a section."""
        return import_module(self.settings).uncertainties(section)

    def validation_of(self, section: Mapping[str, Any]) -> tuple[str, float]:
        """Return what stops trainings early, of ``VALIDATIONS``, and the share held out for it."""
        asked = getattr(import_module(self.settings), "validation", None)
        return ("none", 0.0) if asked is None else asked(section)

    def uses_validation(self, section: Mapping[str, Any]) -> bool:
        """Whether trainings are steered by labels of validation images (``FitJob.validation``)."""
        asked = getattr(import_module(self.settings), "uses_validation", None)
        return asked is not None and asked(section)

    def science_of(self, section: Mapping[str, Any]) -> dict[str, Any]:
        """Return a section without what only says where and how fast something runs."""
        runtime = import_module(self.settings).RUNTIME
        return {key: value for key, value in section.items() if key not in runtime}

    def preparation_of(self, section: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that decide what is prepared, as JSON can; {} where nothing is."""
        return import_module(self.settings).preparation(section) if self.prepares else {}

    def completed(self, settings: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Return the learner's section with what follows from the other settings filled in."""
        section = settings.get(name) or {}
        asked = getattr(import_module(self.settings), "completed", None)
        return {**section} if asked is None else asked(section, settings)

    def batch_of(self, section: Mapping[str, Any]) -> int | None:
        """Return the regions that a step learns from; ``None`` where there are no epochs."""
        asked = getattr(import_module(self.settings), "batch", None)
        return None if asked is None else asked(section)

    def parts_of(self, section: Mapping[str, Any]) -> int:
        """Return the number of parts that data are prepared in, as jobs; 0: in one piece."""
        asked = getattr(import_module(self.settings), "parts", None)
        return 0 if asked is None else asked(section)

    def prepares_on_gpu(self, section: Mapping[str, Any]) -> bool:
        """Whether the parts are worth a GPU each."""
        asked = getattr(import_module(self.settings), "prepares_on_gpu", None)
        return asked is not None and asked(section)

    def made_by(self) -> list[Any]:
        """Return what else decides what is prepared, such as the version of a package."""
        return import_module(self.settings).made_by() if self.prepares else []

    def reads_labels(self, section: Mapping[str, Any]) -> str | None:
        """Return the setting of a section that reads ground truth beyond regions, if one does."""
        asked = getattr(import_module(self.settings), "reads_labels", None)
        return None if asked is None else asked(section)

    def identity_of(
        self,
        section: Mapping[str, Any],
        classes: Sequence[str],
        rows: Sequence[PoolRow],
        layout: ImageSource,
    ) -> dict[str, Any]:
        """Return what the files that a section names hold, as JSON can; may import the learner.

        Arguments are those of ``check_start``. What is not known yet has no key.

        Raises:
            ConfigError: for files that cannot be used.
        """
        asked = getattr(import_module(self.settings), "identity", None)
        return {} if asked is None else asked(section, classes, rows, layout)

    def check_start(
        self,
        section: Mapping[str, Any],
        classes: Sequence[str],
        rows: Sequence[PoolRow],
        here: bool,
        layout: ImageSource,
        prepared: Path | None = None,
    ) -> None:
        """Refuse, before the first job, what would fail in it; may import the learner.

        Args:
            section: the learner's section of the configuration.
            classes: class names.
            rows: of the pool; empty where it is not known yet.
            here: whether jobs run on this machine, so that its devices are theirs.
            layout: opens the images of the rows.
            prepared: folder of what ``prepares`` makes, which may not be there yet.

        Raises:
            DataError: where what was prepared is of other data.
            ConfigError: naming the key, its value and what is allowed.
        """
        asked = getattr(import_module(self.settings), "check_start", None)
        if asked is not None:
            asked(section, classes, rows, here, layout, prepared)


LEARNERS = {
    "convnet": Description(
        ("al.learners.convnet.learner", "Convnet"),
        "al.learners.convnet.settings",
        frozenset({"2d", "3d", "roi"}),
        True,
    ),
    "mmseg": Description(
        ("al.learners.mmseg.learner", "Mmseg"),
        "al.learners.mmseg.settings",
        frozenset({"2d"}),
        True,
    ),
    "nnunet": Description(
        ("al.learners.nnunet.learner", "Nnunet"),
        "al.learners.nnunet.settings",
        frozenset({"3d"}),
        False,
        prepares=True,
    ),
    "hact": Description(
        ("al.learners.hact.learner", "Hact"),
        "al.learners.hact.settings",
        frozenset({"roi"}),
        True,
        prepares=True,
    ),
}


def describe_learner(name: str) -> Description:
    """Return what is known of a learner before it is imported.

    Raises:
        ConfigError: for an unknown name, with the nearest valid one.
    """
    if name not in LEARNERS:
        raise ConfigError(f"learner {name!r} is unknown; {nearest(name, LEARNERS)}")
    return LEARNERS[name]


def get_learner(name: str) -> Learner:
    """Return the learner of that name.

    Raises:
        ConfigError: for an unknown name, with the nearest valid one.
    """
    module, attribute = describe_learner(name).place
    return getattr(import_module(module), attribute)()
