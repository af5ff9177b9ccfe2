"""What trains and predicts. A learner's module is imported only when that learner is asked for."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module

from glue.errors import ConfigError

from .base import FitJob, Learner, Request

LEARNERS = {"convnet": ("learners.convnet", "Convnet")}

__all__ = ["LEARNERS", "FitJob", "Learner", "Request", "get_learner"]


def get_learner(name: str) -> Learner:
    """Return the learner of that name.

    Raises:
        ConfigError: for an unknown name, with the nearest valid one.
    """
    if name not in LEARNERS:
        near = get_close_matches(str(name), LEARNERS, n=1, cutoff=0.3)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"learner: unknown {name!r}; allowed: {', '.join(LEARNERS)}{hint}")
    module, attribute = LEARNERS[name]
    return getattr(import_module(module), attribute)()
