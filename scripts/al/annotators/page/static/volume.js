// Planes of a volume: fetched as they are, drawn through a window of grey values.

import { planeAxes, placed } from "./geometry.js";
import { el } from "./dom.js";

const KEPT = 96; // planes in memory
const AHEAD = 3; // neighbours that are fetched before they are asked for

export class Volume {
  constructor(api, description) {
    Object.assign(this, { api, description });
    const { image_shape: shape, levels, spacing, orientation, presets } = description;
    Object.assign(this, { shape, levels, spacing, orientation });
    this.presets = presets || [];
    this.cache = new Map();
    this.table = new Uint8ClampedArray(65536);
    const [first] = this.presets;
    this.setWindow(first ? first.low : levels.low, first ? first.high : levels.high);
  }

  /** The plane across an axis, rows by columns; null where it could not be had. */
  slice(axis, index) {
    const key = `${axis} ${index}`;
    let plane = this.cache.get(key);
    if (plane) this.cache.delete(key); // and behind those that were used longer ago
    plane ||= this.api.slice(this.description, axis, index).catch((error) => {
      this.cache.delete(key);
      throw error;
    });
    this.cache.set(key, plane);
    if (this.cache.size > KEPT) this.cache.delete(this.cache.keys().next().value);
    return plane;
  }

  /** Fetches neighbours, nearest first. */
  ahead(axis, index) {
    for (let step = 1; step <= AHEAD; step++) {
      for (const i of [index + step, index - step]) {
        if (i >= 0 && i < this.shape[axis]) this.slice(axis, i).catch(() => {});
      }
    }
  }

  /** Grey values from black to white, in the volume's own unit. */
  setWindow(low, high) {
    const { low: least, high: most } = this.levels;
    this.window = { low, high: Math.max(high, low + (most - least) / 65535) };
    const step = (most - least) / 65535;
    const gain = 255 / (this.window.high - low);
    for (let i = 0; i < 65536; i++) this.table[i] = (least + i * step - low) * gain;
  }

  /** The window between the 1st and the 99th percentile of a plane. */
  async automatic(axis, index) {
    const values = (await this.slice(axis, index)).slice().sort();
    const at = (part) => values[Math.floor(part * (values.length - 1))];
    const { low, high } = this.levels;
    const unit = (v) => low + ((high - low) * v) / 65535;
    return { low: unit(at(0.01)), high: unit(at(0.99)) };
  }

  /** A plane as a picture. */
  picture(axis, data) {
    const [rows, columns] = planeAxes(axis).map((a) => this.shape[a]);
    const image = new ImageData(columns, rows);
    const out = new Uint32Array(image.data.buffer);
    for (let i = 0; i < data.length; i++) out[i] = 0xff000000 | (this.table[data[i]] * 0x010101);
    const canvas = el("canvas", { width: columns, height: rows });
    canvas.getContext("2d", { willReadFrequently: true }).putImageData(image, 0, 0);
    return canvas;
  }

  /** The scene of a plane, for a viewer, without region and labels. */
  scene(axis, data) {
    const { matrix, letters, unit } = placed(axis, this.shape, this.spacing, this.orientation);
    const [height, width] = planeAxes(axis).map((a) => this.shape[a]);
    const mm = this.spacing ? unit : null;
    return { source: this.picture(axis, data), width, height, matrix, letters, mm };
  }
}

/** The region's plane on the large viewer, and the two other planes at a voxel beside it. */
export class VolumeView {
  /**
   * `hooks`: shown(k | null): plane k of the region is on screen, returns its labels' picture;
   * section(axis, index) returns one of what is drawn across another axis, or null.
   */
  constructor(viewer, sides, hooks) {
    Object.assign(this, { viewer, sides, hooks, volume: null });
    sides.forEach((side, i) => {
      side.drawMarks = (context) => this.cross(context, side, this.others[i]);
      side.root.addEventListener("pointerdown", (event) => {
        if (!this.volume) return;
        const point = side.toImage(event.clientX, event.clientY);
        const [rows, columns] = planeAxes(this.others[i]);
        const voxel = [...this.voxel];
        [voxel[rows], voxel[columns]] = [Math.floor(point.y), Math.floor(point.x)];
        this.go(voxel);
      });
    });
  }

  /** Opens a region of a volume on its middle slice. */
  async open(volume, work) {
    Object.assign(this, { volume, work, axis: work.axis, pictures: new Map() });
    const { start, size } = work.description;
    this.others = planeAxes(this.axis);
    this.start = start;
    this.size = size;
    this.fresh = new Set([this.viewer, ...this.sides]);
    await this.go(start.map((s, a) => s + (a === this.axis ? 0 : size[a] >> 1)));
  }

  /** Planes of the region, as they are counted on screen (from 1). */
  get range() {
    return [this.start[this.axis] + 1, this.start[this.axis] + this.size[this.axis]];
  }

  get index() {
    return this.voxel[this.axis];
  }

  /** Number of the plane on screen within the region, or null. */
  get plane() {
    const k = this.index - this.start[this.axis];
    return k >= 0 && k < this.size[this.axis] ? k : null;
  }

  /** Shows the slice a number of slices further. */
  step(by) {
    const voxel = [...this.voxel];
    voxel[this.axis] += by;
    return this.go(voxel);
  }

  /** Shows plane k of the region. */
  showPlane(k) {
    return this.step(this.start[this.axis] + k - this.index);
  }

  /** Shows the planes through a voxel; what is on screen already stays. */
  async go(voxel) {
    const clipped = voxel.map((v, a) => Math.min(Math.max(v, 0), this.volume.shape[a] - 1));
    this.voxel = clipped;
    const views = [this.viewer, ...this.sides];
    await Promise.all(views.map((view, i) => this.plant(view, i ? this.others[i - 1] : this.axis)));
    this.volume.ahead(this.axis, this.index);
  }

  async plant(view, axis) {
    const { volume, voxel } = this;
    const index = voxel[axis];
    const data = await volume.slice(axis, index);
    if (volume !== this.volume || this.voxel[axis] !== index) return; // went on meanwhile
    const fresh = this.fresh.delete(view);
    if (view.shownAt === `${axis} ${index}` && view.scene?.volume === volume && !fresh) {
      view.marksChanged();
      return;
    }
    view.shownAt = `${axis} ${index}`;
    const scene = volume.scene(axis, data);
    const [rows, columns] = planeAxes(axis);
    const { start, size } = this;
    const [left, top] = [start[columns], start[rows]];
    const region = { left, top, width: size[columns], height: size[rows] };
    Object.assign(scene, { region, volume });
    if (view === this.viewer) {
      const labels = this.hooks.shown(this.plane);
      Object.assign(scene, { labels, shade: this.work.shades[this.plane], dim: true });
    } else {
      Object.assign(scene, { labels: this.hooks.section(axis, index), thin: true });
    }
    view.show(scene, !fresh);
    if (fresh && view !== this.viewer) view.fit(true);
  }

  /** Shows beside what is drawn now. */
  drawn() {
    this.sides.forEach((side, i) => {
      const axis = this.others[i];
      if (side.scene?.volume === this.volume) {
        side.relabel(this.hooks.section(axis, this.voxel[axis]));
      }
    });
  }

  /** Draws all planes through another window. */
  async setWindow(low, high) {
    this.volume.setWindow(low, high);
    for (const view of [this.viewer, ...this.sides]) view.shownAt = "";
    await this.go(this.voxel);
  }

  cross(context, view, axis) {
    if (!this.volume || !view.scene) return;
    const [rows, columns] = planeAxes(axis);
    const m = view.matrix;
    const { width, height } = view.scene;
    const [x, y] = [this.voxel[columns] + 0.5, this.voxel[rows] + 0.5];
    context.beginPath();
    for (const [a, b] of [[[0, y], [width, y]], [[x, 0], [x, height]]]) { // prettier-ignore
      const [p, q] = [a, b].map(([u, v]) => m.transformPoint({ x: u, y: v }));
      context.moveTo(p.x, p.y);
      context.lineTo(q.x, q.y);
    }
    context.strokeStyle = "rgb(120 200 255 / 80%)";
    context.stroke();
  }
}
