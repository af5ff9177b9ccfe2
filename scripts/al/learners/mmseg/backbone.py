"""Registers the InternImage of this project as a backbone of mmsegmentation."""

from __future__ import annotations

from typing import Any

from mmseg.registry import MODELS

from .internimage import InternImage

# What published configurations say beside the architecture, and the one value that is built here.
FIXED = {
    "core_op": "DCNv3",
    "norm_layer": "LN",
    "act_layer": "GELU",
    "post_norm": False,
    "with_cp": False,
    "drop_rate": 0.0,
    "drop_path_type": "linear",
}


@MODELS.register_module(name="InternImage")
class MmsegInternImage(InternImage):
    """``InternImage`` with the arguments that configurations of mmsegmentation give.

    Raises:
        ValueError: for an argument that this implementation does not have.
    """

    def __init__(self, init_cfg: Any = None, **arguments: Any) -> None:
        for key, value in FIXED.items():
            if arguments.pop(key, value) != value:
                raise ValueError(f"InternImage: {key} can only be {value!r} here")
        super().__init__(**arguments)
