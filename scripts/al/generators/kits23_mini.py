"""Body-like volumes in the layout of KiTS23: kidneys with tumours and cysts, HU, axial first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from .noise import smooth_noise, texture

KIDNEY, TUMOUR, CYST = 1, 2, 3
SPACING = (6.0, 6.5, 6.5)


class Body:
    """A volume being built: intensities in HU and labels, (D, H, W)."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, int, int]) -> None:
        self.rng = rng
        self.hu = np.full(shape, -1000, np.float32)
        self.labels = np.zeros(shape, np.uint8)
        self.grid = np.meshgrid(*[np.linspace(0, 1, n) for n in shape], indexing="ij")
        self.wobble = np.clip(smooth_noise(rng, shape, 6), -2, 2)

    def ellipsoid(
        self, centre: Sequence[float], radius: Sequence[float], rough: float = 0.1
    ) -> np.ndarray:
        """Return the mask of an uneven ellipsoid; centre and radius in shares of the volume."""
        far = sum(
            ((place - c) / r) ** 2 for place, c, r in zip(self.grid, centre, radius, strict=True)
        )
        return far * (1 + rough * self.wobble) <= 1

    def fill(self, mask: np.ndarray, hu: float, rough: float = 8, label: int | None = None) -> None:
        """Fill a mask with a tissue."""
        grain = texture(self.rng, mask.shape, (2, 4))
        self.hu[mask] = hu + rough * grain[mask]
        if label is not None:
            self.labels[mask] = label


def draw_trunk(body: Body, phase: float) -> np.ndarray:
    """Skin, fat, muscle, spine, liver, spleen, vessels, bowel; returns the mask of the inside."""
    rng = body.rng
    body.fill(body.ellipsoid((0.5, 0.5, 0.5), (50, 0.42, 0.47), 0.03), -95, 12)
    body.fill(body.ellipsoid((0.5, 0.5, 0.5), (50, 0.35, 0.40), 0.05), 52, 10)
    inside = body.ellipsoid((0.5, 0.46, 0.5), (50, 0.27, 0.34), 0.05)
    body.fill(inside, -85, 18)
    body.fill(body.ellipsoid((0.15, 0.42, 0.27), (0.5, 0.2, 0.16), 0.2), 75 + 35 * phase, 9)
    body.fill(body.ellipsoid((0.1, 0.46, 0.8), (0.35, 0.13, 0.08), 0.2), 80 + 45 * phase, 9)
    for _ in range(rng.integers(5, 10)):
        centre = rng.uniform(0.2, 0.95), rng.uniform(0.25, 0.5), rng.uniform(0.28, 0.72)
        bowel = body.ellipsoid(centre, rng.uniform((0.08, 0.04, 0.04), (0.25, 0.08, 0.09)), 0.3)
        body.fill(bowel & inside, rng.choice([20, 45, 70, 130]) + rng.normal(0, 10), 16)
    body.fill(body.ellipsoid((0.5, 0.72, 0.5), (50, 0.09, 0.09), 0.1), 230, 60)
    body.fill(body.ellipsoid((0.5, 0.6, 0.46), (50, 0.03, 0.03)), 110 + 120 * phase, 6)
    body.fill(body.ellipsoid((0.5, 0.6, 0.56), (50, 0.035, 0.035)), 95 + 80 * phase, 6)
    return inside


def draw_kidneys(body: Body, phase: float, cysts: int, tumours: int) -> None:
    """Two kidneys with fatty sinus; tumours bulge out, cysts are small and of water."""
    rng = body.rng
    centres = []
    for side in (0.3, 0.7):
        centre = np.array([rng.uniform(0.45, 0.6), 0.6, side]) + rng.normal(0, 0.015, 3)
        radius = np.array([0.27, 0.105, 0.085]) * rng.uniform(0.85, 1.15, 3)
        kidney = body.ellipsoid(centre, radius, 0.12)
        body.fill(kidney, 125 + 75 * phase, 12, KIDNEY)
        inner = centre + (0, 0, 0.025 if side < 0.5 else -0.025)
        body.fill(body.ellipsoid(inner, radius * 0.4, 0.2), -40, 25, 0)
        centres.append((centre, radius))
    kinds = [TUMOUR] * tumours + [CYST] * cysts
    for kind in kinds:
        centre, radius = centres[rng.integers(2)]
        angle, height = rng.uniform(0, 2 * np.pi), rng.uniform(-0.6, 0.6)
        out = np.array([height, np.sin(angle), np.cos(angle)]) * radius * 0.85
        size = rng.uniform(0.08, 0.14) if kind == TUMOUR else rng.uniform(0.06, 0.1)
        mass = body.ellipsoid(centre + out, np.array([1.5, 1, 1]) * size, 0.25)
        if kind == TUMOUR:
            body.fill(mass, rng.uniform(55, 80) + 40 * phase, 24, TUMOUR)
            if size > 0.1:
                core = body.ellipsoid(centre + out, np.array([1.5, 1, 1]) * size * 0.5, 0.3)
                body.fill(core, rng.uniform(15, 45), 14, TUMOUR)
        else:
            body.fill(mass, rng.uniform(0, 25), 10, CYST)


def write(root: Path, seed: int, cases: int = 14, depth: int = 20, side: int = 48) -> None:
    """Write ``cases`` volumes of ``depth`` axial slices of ``side`` x ``side`` voxels.

    Array axes run inferior, posterior, left, as in the original files.
    """
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *(-s for s in SPACING), 1
    for number in range(cases):
        rng = np.random.default_rng([seed, number])
        body = Body(rng, (depth, side, side))
        phase = rng.uniform(0.2, 1)
        draw_trunk(body, phase)
        draw_kidneys(body, phase, cysts=int(rng.integers(0, 3)), tumours=int(rng.integers(1, 3)))
        hu = body.hu + rng.normal(0, 13, body.hu.shape)
        folder = root / f"case_{number:05d}"
        folder.mkdir(parents=True)
        scan = nib.Nifti1Image(np.clip(hu, -1024, 3071).round().astype(np.int16), affine)
        nib.save(scan, folder / "imaging.nii.gz")
        nib.save(nib.Nifti1Image(body.labels, affine), folder / "segmentation.nii.gz")
