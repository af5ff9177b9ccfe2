"""Images and stand-in weights for the original library: ``python histocartography_kit.py FOLDER``.

Runs in the environment of ``envs/histocartography.yaml``. The images hold in their colours what
the nuclei detector says: blue is 0 in nuclei, red and green are their horizontal and vertical maps.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image

RADIUS, SMALL, STEP = 22, 9, 50  # pixels; small ones cover less than a quarter of a patch


class Detector(torch.nn.Module):
    """The maps of the 164 x 164 pixels in the middle of patches of 256 x 256."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x[:, :, 46:-46, 46:-46]
        inside = (x[:, 2] < 0.25).float()
        outside = 0.5 * (1 - inside)
        return torch.stack([inside, x[:, 0] * inside + outside, x[:, 1] * inside + outside], -1)


def draw(height: int, width: int, seed: int) -> tuple[np.ndarray, list[list[float]]]:
    """Return an image of two tissues, and the places of its nuclei."""
    rng = np.random.RandomState(seed)
    blocks = rng.randint(180, 255, (height // 20 + 1, width // 20 + 1, 3))
    image = blocks.repeat(20, 0).repeat(20, 1)[:height, :width].astype(np.uint8)
    image[:, width // 2 :, :2] //= 2
    places = []
    for row, y in enumerate(range(30, height - 24, STEP)):
        for x in range(30, width - 24, STEP):
            radius = SMALL if row == 1 else RADIUS
            down, right = np.mgrid[-radius : radius + 1, -radius : radius + 1]
            inside = down**2 + right**2 <= radius**2
            scale = 250 // (2 * radius)
            maps = np.stack([(right + radius) * scale, (down + radius) * scale, 0 * right], -1)
            part = image[y - radius : y + radius + 1, x - radius : x + radius + 1]
            part[inside] = maps[inside]
            places.append([x / width, y / height])
    return image, places


def main(folder: Path) -> None:
    """Write all into a folder."""
    torch.jit.script(Detector()).save(str(folder / "nuclei.pt"))
    torch.manual_seed(0)
    weights = folder / "torch" / "hub" / "checkpoints" / "resnet34-b627a593.pth"
    weights.parent.mkdir(parents=True)
    torch.save(torchvision.models.resnet34(zero_init_residual=True).state_dict(), str(weights))
    rows, expected = ["path,split,label"], {}
    for number, height in enumerate((300, 340)):
        name = f"BRACS_{100 + number}_DCIS_{number + 1}"
        image, places = draw(height, 400, number)
        Image.fromarray(image).save(str(folder / f"{name}.png"))
        rows.append(f"{folder / name}.png,train,5")
        expected[name] = {"nuclei": len(places), "places": places}
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    (folder / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
