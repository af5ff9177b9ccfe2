// What of a region is fetched before it is shown.

import { Tiles } from "./tiles.js";
import { Volume } from "./volume.js";
import { shade } from "./viewer.js";
import { Work } from "./work.js";

const SAME = ["cycle", "image", "roi"]; // in regions that share their tiles

/**
 * A region ready to be shown: its description, its work, and the `scene` of its image or RoI with
 * the tiles that `viewer` shows first, or the `volume` with the planes that are seen first.
 * `before` is the region on screen. Raises what the server answers.
 */
export async function load(api, description, place, viewer, before) {
  const work = new Work(description, place);
  work.shades = work.planes.map(shade);
  if (work.axis !== undefined && work.axis !== null) {
    const volume = new Volume(api, description);
    const { start, size } = description;
    const first = start.map((s, a) => s + (a === work.axis ? 0 : size[a] >> 1));
    await Promise.all(first.map((index, axis) => volume.slice(axis, index)));
    if (!volume.presets.length) {
      const { low, high } = await volume.automatic(work.axis, first[work.axis]);
      volume.setWindow(low, high);
    }
    volume.ahead(work.axis, first[work.axis]);
    return { description, work, volume };
  }
  const [height, width] = description.image_shape;
  const same = before?.scene && SAME.every((key) => before.description[key] === description[key]);
  const tiles = same ? before.scene.tiles : new Tiles(api.tile, description, height, width);
  const region = work.planes.length ? work.region : null;
  const mm = description.spacing ? description.spacing[0] : null;
  const scene = { tiles, width, height, matrix: new DOMMatrix(), letters: null, mm, region };
  await tiles.ready(...viewer.seenFirst(scene));
  return { description, work, scene };
}

/** RGBA of a region's pixels in pictures [{source, left, top}] around it. */
export function pixelsOf(pictures, { left, top, width, height }) {
  const context = new OffscreenCanvas(width, height).getContext("2d");
  for (const { source, left: x, top: y } of pictures) context.drawImage(source, x - left, y - top);
  return context.getImageData(0, 0, width, height).data;
}
