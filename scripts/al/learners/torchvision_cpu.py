"""Imports torchvision also where torch is a CPU build.

There PyPI's torchvision, which is built for CUDA, cannot load its compiled part and fails at the
definition of two operators. Packages import it for other things and nothing here calls these
operators, so their schemas are enough.
"""

from __future__ import annotations

import sys

import torch

SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_held: list[torch.library.Library] = []


def import_torchvision() -> None:
    """Import torchvision, so that later imports of it succeed.

    Raises:
        ImportError: where it is missing.
        RuntimeError: where it cannot be imported for another reason.
    """
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
