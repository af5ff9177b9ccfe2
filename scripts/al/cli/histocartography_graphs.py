"""Make cell and tissue graphs with the original library, histocartography 0.2.1.

    python -m al.cli.histocartography_graphs --images LIST.csv --out DIR

``LIST.csv`` has a column ``path`` (RoI images) and may have ``split`` (a subfolder of the output)
and ``label`` (an integer, written into the graphs). Written are, by rename and only where they are
missing, ``cell_graphs/SPLIT/NAME.bin``, ``tissue_graphs/SPLIT/NAME.bin`` and
``assignment_matrices/SPLIT/NAME.h5``, which ``import_graphs.py`` reads.

Runs in an environment of its own, ``envs/histocartography.yaml`` (Python 3.8), which has nothing
of this project: so this file imports nothing of it. The settings are those published with HACT-Net
(Pati et al., Medical Image Analysis 75, 2022, and its graph generation).
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

FOLDERS = {"cell_graphs": ".bin", "tissue_graphs": ".bin", "assignment_matrices": ".h5"}
NEIGHBOURS, REACH = 5, 50  # of a nucleus; pixels
PATCH, TISSUE_PATCH, INPUT = 72, 144, 224  # pixels
SUPERPIXELS = {
    "superpixel_size": 500,
    "compactness": 20,
    "blur_kernel_size": 1,
    "threshold": 0.05,
    "downsampling_factor": 4,
}
WIDTH = 514  # features of a node: resnet34's and its place
BATCHES = (32, 31, 30, 29)  # patches; 32 is the library's
NAMED = 5  # of what is wrong, in a message


class Refused(ValueError):
    """What was asked for cannot be done; the message says why, and what is allowed."""


class Roi(NamedTuple):
    """A row of the list: an image, the subfolder of its graphs, and its label, if it has one."""

    path: Path
    split: str
    label: int | None

    @classmethod
    def of(cls, row: dict[str, str]) -> Roi:
        """Read a row. Raises ValueError for a label that is no whole number."""
        label = row.get("label")
        return cls(Path(row["path"]), row.get("split") or "", int(label) if label else None)

    def outputs(self, out: Path) -> dict[str, Path]:
        """Return the files to write, by folder."""
        return {
            folder: out / folder / self.split / (self.path.stem + suffix)
            for folder, suffix in FOLDERS.items()
        }


def main(arguments: list[str]) -> int:
    """Make graphs; returns 0, 1 where some RoIs failed, 2 where nothing could be done."""
    parser = argparse.ArgumentParser(prog="histocartography_graphs.py")
    parser.add_argument("--images", type=Path, required=True, help="CSV: path[,split][,label]")
    parser.add_argument("--out", type=Path, required=True, help="folder of the graphs")
    parser.add_argument(
        "--nuclei-model",
        type=Path,
        help="weights of the nuclei detector (a pickle: trust it); default: the library downloads",
    )
    parser.add_argument(
        "--stain-target", type=Path, help="image to whose stain all are normalised (Vahadane)"
    )
    own = parser.parse_args(arguments)
    try:
        rois = read_list(own.images)
        for path in (own.nuclei_model, own.stain_target):
            if path is not None and not path.is_file():
                raise Refused(f"{path}: no such file")
        missing = [roi for roi in rois if not is_done(roi, own.out)]
        print(f"{len(rois)} RoIs, {len(rois) - len(missing)} of them are there", flush=True)
        if not missing:
            return 0
        pipeline = Pipeline(own.nuclei_model, own.stain_target)
    except Refused as refusal:
        print(f"cannot make graphs: {refusal}", file=sys.stderr)
        return 2
    failed = make_all(missing, lambda roi: write(roi, own.out, *pipeline.make(roi)))
    if failed:
        print(f"no graphs of {len(failed)} RoIs: {some(failed)}", file=sys.stderr)
    return int(bool(failed))


def read_list(path: Path) -> list[Roi]:
    """Read the list of images.

    Raises:
        Refused: no such table, images that are missing, or two of one name.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise Refused(f"{path}: {error}") from error
    if not rows or not all(row.get("path") for row in rows):
        raise Refused(f"{path}: no rows with a `path`; allowed: CSV with path[,split][,label]")
    try:
        rois = [Roi.of(row) for row in rows]
    except ValueError as error:
        raise Refused(f"{path}: label: {error}") from error
    gone = [str(roi.path) for roi in rois if not roi.path.is_file()]
    if gone:
        raise Refused(f"{path}: no file {some(gone)}")
    seen: dict[str, Path] = {}
    for roi in rois:
        if seen.setdefault(roi.path.stem, roi.path) != roi.path:
            raise Refused(f"two images of one name: {seen[roi.path.stem]}, {roi.path}")
    return rois


def is_done(roi: Roi, out: Path) -> bool:
    """Whether all files of a RoI are there."""
    return all(path.is_file() for path in roi.outputs(out).values())


def make_all(rois: list[Roi], make: Callable[[Roi], None]) -> list[str]:
    """Call ``make`` for one RoI after the other; returns the names of those that failed."""
    failed = []
    for number, roi in enumerate(rois, start=1):
        told = f"{number} of {len(rois)}: {roi.path.stem}"
        try:
            make(roi)
            print(told, flush=True)
        except Exception as error:  # of the library: one RoI must not stop the others
            print(f"{told}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            failed.append(roi.path.stem)
    return failed


def write(roi: Roi, out: Path, cells: Any, tissue: Any, matrix: Any) -> None:
    """Write the graphs of a RoI with its label, and the (cells, tissue) matrix of 0 and 1."""
    import h5py
    import torch
    from dgl.data.utils import save_graphs

    paths = roi.outputs(out)
    labels = None if roi.label is None else {"label": torch.tensor([roi.label])}
    for folder, graph in (("cell_graphs", cells), ("tissue_graphs", tissue)):
        with by_rename(paths[folder]) as temporary:
            save_graphs(str(temporary), [graph], labels)
    with by_rename(paths["assignment_matrices"]) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset("assignment_matrix", data=matrix, compression="gzip")


@contextmanager
def by_rename(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it there when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        yield temporary
        os.replace(str(temporary), str(path))
    finally:
        if temporary.exists():
            temporary.unlink()


def some(names: list[str]) -> str:
    """Name a few of many."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


class Pipeline:
    """The steps from an image to its graphs, as the library offers them.

    Args:
        nuclei_model: file of the nuclei detector; ``None``: the library downloads one.
        stain_target: image of the stain to normalise to; ``None``: images stay as they are.

    Raises:
        Refused: the library cannot be imported, or its weights cannot be had.
    """

    def __init__(self, nuclei_model: Path | None, stain_target: Path | None) -> None:
        try:
            import dgl  # noqa: F401
            import h5py  # noqa: F401
            from histocartography import preprocessing as steps
        except Exception as error:  # old packages beside new ones fail in many ways
            raise Refused(
                f"histocartography cannot be imported ({type(error).__name__}: {error}); it needs "
                "the environment of envs/histocartography.yaml: this is Python "
                f"{sys.version.split()[0]}"
            ) from error
        given = {} if nuclei_model is None else {"model_path": str(nuclei_model)}
        try:
            self.nuclei = steps.NucleiExtractor(**given)
            self.cell_features, self.tissue_features = (
                steps.DeepFeatureExtractor(
                    architecture="resnet34", patch_size=side, resize_size=INPUT
                )
                for side in (PATCH, TISSUE_PATCH)
            )
        except Exception as error:  # no network, no such weights, weights of another torch
            raise Refused(
                f"the weights of the nuclei detector or of resnet34 cannot be had: {error}. "
                "Download them where there is a network: --nuclei-model, and TORCH_HOME"
            ) from error
        self.stain = None
        if stain_target is not None:
            self.stain = steps.VahadaneStainNormalizer(target_path=str(stain_target))
        self.superpixels = steps.ColorMergedSuperpixelExtractor(**SUPERPIXELS)
        self.regions = steps.RAGGraphBuilder(add_loc_feats=True)
        self.assign = steps.AssignmnentMatrixBuilder()
        self.neighbours = steps.KNNGraphBuilder

    def make(self, roi: Roi) -> tuple[Any, Any, Any]:
        """Return the cell graph, the tissue graph and the assignment matrix of a RoI."""
        import numpy as np
        from PIL import Image

        image = np.array(Image.open(str(roi.path)).convert("RGB"))
        if self.stain is not None:
            image = self.stain.process(image)
        superpixels, _ = self.superpixels.process(image)
        features = features_of(self.tissue_features, image, superpixels)
        tissue = self.regions.process(superpixels, features)
        nuclei, centroids = self.nuclei.process(image)
        if len(centroids) < 2:  # the library makes no graph of them
            print(f"  {len(centroids)} nuclei: a graph without cells", flush=True)
            return no_cells(), tissue, np.zeros((0, features.shape[0]))
        # With as many neighbours as in the papers, the library fails on 5 nuclei or fewer.
        near = min(NEIGHBOURS, len(centroids) - 1)
        builder = self.neighbours(k=near, thresh=REACH, add_loc_feats=True)
        cells = builder.process(nuclei, features_of(self.cell_features, image, nuclei))
        return cells, tissue, self.assign.process(centroids, superpixels)


def features_of(extractor: Any, image: Any, instances: Any) -> Any:
    """Return the features of instances, (N, 512), 0 where the library would leave them undefined.

    It skips patches of which an instance covers a quarter or less, and gives an instance without
    any patch whatever the memory held. It also spreads one number over all features of a patch
    that is alone in its batch. (histocartography 0.2.1, ``preprocessing/feature_extraction.py``)

    Args:
        extractor: the library's; its ``batch_size`` is changed.
        image: (H, W, 3) uint8.
        instances: (H, W) integers, 0 for none.
    """
    from histocartography.preprocessing.feature_extraction import InstanceMapPatchDataset

    patches = InstanceMapPatchDataset(
        image=image,
        instance_map=instances,
        resize_size=extractor.resize_size,
        patch_size=extractor.patch_size,
        stride=extractor.stride,
        fill_value=extractor.fill_value,
        mean=extractor.normalizer_mean,
        std=extractor.normalizer_std,
    )
    count = len(patches)
    extractor.batch_size = next(size for size in BATCHES if count % size != 1 or count == 1)
    features = extractor.process(image, instances)
    seen = set() if count == 1 else set(patches.patch_region_count)
    missed = [number for number in range(len(features)) if number not in seen]
    features[missed] = 0
    if missed:
        told = f"{len(missed)} of {len(features)} instances too small for patches of"
        print(f"  {told} {extractor.patch_size} pixels: features 0", flush=True)
    return features


def no_cells() -> Any:
    """Return a cell graph without nodes."""
    import dgl
    import torch

    graph = dgl.DGLGraph()
    graph.ndata["centroid"] = torch.zeros((0, 2))
    graph.ndata["feat"] = torch.zeros((0, WIDTH))
    return graph


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
