"""What trains and predicts. A learner's module is imported only when that learner is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from al.io.errors import ConfigError, nearest

from .base import FitJob, ImageSource, Model, Request, Scorer, Start, VolumeSource
from .settings import LearnerSettings

if TYPE_CHECKING:
    from .learner import Learner

__all__ = [
    "LEARNERS",
    "FitJob",
    "ImageSource",
    "LearnerSettings",
    "Model",
    "Request",
    "Scorer",
    "Start",
    "VolumeSource",
    "describe_learner",
    "get_learner",
]

# In a learner's folder ``settings.py`` has ``NameSettings``; ``learner.py``, which needs torch, has
# ``Name``.
LEARNERS = ("convnet", "pixels", "mmseg", "nnunet", "hact")


def describe_learner(name: str) -> type[LearnerSettings]:
    """Return the model of a learner's settings, which knows what can be known without torch.

    Raises:
        ConfigError: for an unknown name, with the nearest valid one.
    """
    if name not in LEARNERS:
        raise ConfigError(f"learner {name!r} is unknown; {nearest(name, LEARNERS)}")
    module = import_module(f"al.learners.{name}.settings")
    return getattr(module, f"{name.capitalize()}Settings")


def get_learner(name: str) -> Learner:
    """Return the learner of that name.

    Raises:
        ConfigError: for an unknown name, with the nearest valid one, or where a package is missing.
    """
    describe_learner(name)
    try:
        module = import_module(f"al.learners.{name}.learner")
    except ImportError as error:
        extra = "workflow" if name == "convnet" else name
        raise ConfigError(
            f"learner {name}: {error}; install it with: make venv EXTRAS={extra}"
        ) from error
    return getattr(module, name.capitalize())()
