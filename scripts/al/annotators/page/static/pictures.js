// What of a region is fetched before it is shown.

import { Volume } from "./volume.js";
import { shade } from "./viewer.js";
import { Work } from "./work.js";

/**
 * A region ready to be shown: its description, its work, and the pictures of an image or RoI
 * (`layers`) or the volume with the planes that are seen first. Raises what the server answers.
 */
export async function load(api, description, place) {
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
  const whole = { name: "detail", left: 0, top: 0, width, height };
  const views = description.views?.length ? description.views : [whole];
  const layers = await Promise.all(
    views.map(async ({ name, left, top, width: w, height: h }) => {
      return { source: await api.view(description.id, name), left, top, width: w, height: h };
    }),
  );
  return { description, work, layers };
}

/** RGBA of a region's pixels, as the pictures show them. */
export function pixelsOf(layers, { left, top, width, height }) {
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.imageSmoothingEnabled = false;
  for (const layer of layers) {
    const { source, width: w, height: h } = layer;
    context.drawImage(source, layer.left - left, layer.top - top, w, h);
  }
  return context.getImageData(0, 0, width, height).data;
}
