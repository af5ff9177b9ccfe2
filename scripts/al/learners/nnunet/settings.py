"""The configuration section ``nnunet``; nothing here imports nnU-Net."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ..nested import NESTED, ORDER, Index, NestedSettings, Sets
from ..settings import Count, Many, NotNegative, Positive, Share, Workers, setting

LABELS = "labels"
FORMAT = 1  # of what is prepared; another number makes everything anew


class NnunetSettings(NestedSettings):
    """Settings of ``nnunet``."""

    learner: ClassVar[str] = "nnunet"
    tasks: ClassVar[frozenset[str]] = frozenset({"3d"})
    has_features: ClassVar[bool] = False
    prepares: ClassVar[bool] = True

    configuration: Literal["2d", "3d_lowres", "3d_fullres"] = setting(
        "3d_fullres", "Of nnU-Net's plans.", "preparation"
    )
    planner: Literal[
        "ExperimentPlanner", "nnUNetPlannerResEncM", "nnUNetPlannerResEncL", "nnUNetPlannerResEncXL"
    ] = setting(
        "ExperimentPlanner", "Class of nnU-Net that plans, of the residual encoders too.",
        "preparation",
    )  # fmt: skip
    gpu_memory: Positive | None = setting(
        None,
        "GB of a GPU that the plans are made for; null: the planner's own, 8, or 24 and 40 of the "
        "large residual encoders.",
        "preparation",
    )
    modality: str | None = setting(
        None,
        "What nnU-Net calls the channel, of which its normalisation follows: CT, noNorm, "
        "rescale_to_0_1; any other name and null stand for z-scores.",
        "preparation",
    )
    foreground: tuple[float, float] | Literal["labels"] | None = setting(
        None,
        "Voxels whose intensities the plans are made from: those within [low, high], `labels` "
        "(reads all ground truth: for controls alone), or null, all that are not zero. Decides "
        "results with CT only, where it must be given.",
        "preparation",
    )
    spacing: tuple[Positive, Positive, Positive] | None = setting(
        None,
        "Voxel size in mm that 3d_fullres and 2d resample to, along superior, anterior and right; "
        "null: as nnU-Net plans it.",
        "preparation",
    )
    patch: tuple[Annotated[int, Field(ge=4, le=20_000)], ...] | None = setting(
        None, "Training patch of `configuration`, in voxels; null: as planned.", "preparation"
    )
    batch: Many | None = setting(None, "Patches per step; null: as planned.", "preparation")
    features: int | None = setting(
        None, "Channels of the finest level; null: as planned.", "preparation", ge=4, le=10_000
    )
    nested: Sets | None = setting(None, NESTED, "preparation")
    nested_order: tuple[Index, ...] | None = setting(None, ORDER, "preparation")
    iterations: Count = setting(
        250, "Steps per epoch; the learning rate falls from epoch to epoch."
    )
    learning_rate: Positive = setting(1e-2, "Of the first epoch.")
    weight_decay: NotNegative = setting(3e-5, "Of SGD with Nesterov momentum 0.99.")
    oversample: Share = setting(
        0.33,
        "Share of each batch centred on a revealed voxel of a foreground class; the rest is "
        "centred on any revealed voxel.",
    )
    start: Literal["scratch", "previous"] = setting(
        "scratch", "Weights of the first step: random (`scratch`) or of the cycle before."
    )
    mirror: bool = setting(True, "Predictions are averaged over all mirrorings.", "prediction")
    step_size: float = setting(
        0.5, "Of prediction windows, in shares of the patch.", "prediction", gt=0, le=1
    )
    checkpoint_every: Count = setting(250, "Steps between resume checkpoints.", "nothing")
    workers: Workers | None = setting(
        None,
        "Processes that augment; null: with a GPU one per CPU of the job up to 12, otherwise none. "
        "Preprocessing takes as many threads; of null the 4 of its rule.",
        "nothing",
    )

    def is_checked(self) -> bool:
        """Always."""
        return True

    @classmethod
    def made_by(cls) -> list[Any]:
        """Return what else decides what is prepared: the form of the files, nnU-Net's version."""
        try:
            return [FORMAT, version("nnunetv2")]
        except PackageNotFoundError:  # a plan is made elsewhere, or will be refused
            return [FORMAT, None]

    def reads_labels(self) -> str | None:
        """Return the setting that reads ground truth of the whole dataset, if it does."""
        return f"nnunet.foreground: {LABELS}" if self.foreground == LABELS else None

    def check(self, task: str | None, classes: int | None) -> None:
        """Refuse values that do not fit each other or the classes. Raises ConfigError."""
        seen = self.foreground
        if isinstance(seen, tuple) and seen[0] >= seen[1]:
            self.refuse("foreground", f"[low, high], low below high, {LABELS}, or null")
        if seen is None and (self.modality or "").casefold() == "ct":
            self.refuse(
                "foreground",
                f"[low, high] or {LABELS} for modality CT, whose normalisation is made from it",
            )
        axes = 2 if self.configuration == "2d" else 3
        if self.patch is not None and len(self.patch) != axes:
            self.refuse("patch", f"{axes} whole numbers from 4, or null")
        super().check(task, classes)
        if self.nested is not None and max(map(len, self.nested)) < 2:
            # nnU-Net takes lists of one class each for exclusive classes, and trains a softmax.
            self.refuse("nested", "at least one list of two classes or more, or null")
