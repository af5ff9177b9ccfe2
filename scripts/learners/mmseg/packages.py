"""Imports mmsegmentation, quietly, also where torch is a CPU build.

There PyPI's torchvision cannot load its compiled part and fails at the definition of two operators
that nothing here calls; their schemas are enough.
"""

from __future__ import annotations

import contextlib
import io
import sys
import warnings

import torch

SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_held: list[torch.library.Library] = []


def _import_torchvision() -> None:
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::" not in str(error) or torch.version.cuda is not None:
            raise
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(name + SCHEMA)
        _held.append(library)  # the schemas live as long as it does
        for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        import torchvision  # noqa: F401


def import_all() -> None:
    """Import mmsegmentation's models and transforms, and register what is ours.

    Raises:
        ImportError: where a package is missing.
    """
    _import_torchvision()
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
