"""Imports mmsegmentation, quietly, also where torch is a CPU build."""

from __future__ import annotations

import contextlib
import io
import warnings

from ..torchvision_cpu import import_torchvision


def import_all() -> None:
    """Import mmsegmentation's models and transforms, and register what is ours.

    Raises:
        ImportError: where a package is missing.
    """
    import_torchvision()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of compiled operators that are optional
        import cv2
        import mmseg.datasets
        import mmseg.models  # noqa: F401
        from mmengine.logging import MMLogger
        from mmengine.registry import init_default_scope
    cv2.setNumThreads(0)
    # A line for every parameter of a network is no message to a user.
    MMLogger.get_current_instance().setLevel("WARNING")
    init_default_scope("mmseg")
    from . import backbone, transforms  # noqa: F401


import_all()
