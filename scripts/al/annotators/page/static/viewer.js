// A view of one plane: pictures, label map and marks under pan and zoom.
//
// Three canvases lie on each other, so that a stroke draws labels alone and a moving pointer its
// mark alone. Points of the image are (x, y) = (column, row), pixel (row, column) covering
// [column, column + 1) x [row, row + 1).

import { around, barLength } from "./geometry.js";
import { el, isDark } from "./dom.js";
import { union, NONE, VOID } from "./paint.js";

const MARGIN = 0.82; // how much of the view a fitted region fills
const DEEPEST = 64; // pixels of the screen per pixel of the image
const BAND = 7; // pixels of the screen that a region seen from its edge has at least

/**
 * A label map as a picture. While a stroke is drawn only what changed is drawn anew, on a canvas of
 * its own: to change a part of a large canvas that is on screen would copy all of it.
 */
export class LabelPicture {
  constructor(plane, colours) {
    this.plane = plane;
    this.colours = Uint32Array.from(colours, ([r, g, b]) => 0xff000000 | (b << 16) | (g << 8) | r);
    this.dark = colours.map(isDark);
    this.canvas = el("canvas", { width: plane.width, height: plane.height });
    this.patch = el("canvas");
    this.stale = { top: 0, left: 0, bottom: plane.height, right: plane.width };
  }

  /** Labels changed within a rectangle. */
  changed(rect) {
    this.stale = union(this.stale, rect);
  }

  /** Draws labels on a canvas whose upper left corner is (left, top) of the plane. */
  draw(canvas, { top, left, bottom, right }, x, y) {
    const { labels, width, mask } = this.plane;
    const image = new ImageData(right - left, bottom - top);
    const out = new Uint32Array(image.data.buffer);
    let i = 0;
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++, i++) {
        const at = row * width + column;
        const label = labels[at];
        if (label === NONE || (mask && !mask[at])) continue;
        // "Cannot tell" is striped, so that no class's colour can be taken for it.
        const stripe = (column + row) & 2 ? 0xffe8e8e8 : 0xff202020;
        out[i] = label === VOID ? stripe : this.colours[label];
        if (this.dark[label] && !((column | row) & 3)) out[i] = 0xffc0c0c0; // painted, by its dots
      }
    }
    canvas.getContext("2d").putImageData(image, x, y);
  }

  /** The whole picture. */
  whole() {
    if (this.stale) this.draw(this.canvas, this.stale, this.stale.left, this.stale.top);
    this.stale = null;
    return this.canvas;
  }

  /** A part of the picture. */
  part(rect) {
    this.patch.width = rect.right - rect.left;
    this.patch.height = rect.bottom - rect.top;
    this.draw(this.patch, rect, 0, 0);
    return this.patch;
  }
}

/** A canvas that darkens what a mask leaves out; null without a mask. */
export function shade(plane) {
  if (!plane.mask) return null;
  const image = new ImageData(plane.width, plane.height);
  plane.mask.forEach((on, i) => (image.data[4 * i + 3] = on ? 0 : 140));
  const canvas = el("canvas", { width: plane.width, height: plane.height });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

export class Viewer {
  /** `name` is what screen readers say. */
  constructor(root, name) {
    this.root = root;
    const layer = (label) => el("canvas", { role: "img", "aria-label": label });
    this.layers = { image: layer(name), labels: layer("labels"), marks: layer("marks") };
    root.classList.add("viewer");
    root.append(...Object.values(this.layers));
    this.opacity = 0.5;
    this.scene = null;
    this.zoom = 1;
    this.origin = { x: 0, y: 0 };
    this.fits = null; // {whole}: the view is fitted, and stays so in a window of another size
    this.size = { width: 1, height: 1 };
    this.density = 1;
    this.stale = { image: false, marks: false, labels: null }; // labels: a rectangle, or "all"
    this.drawMarks = () => {};
    this.resize();
    new ResizeObserver(() => this.resize()).observe(root);
  }

  /**
   * Shows a scene: {source: the picture, or tiles: Tiles, width, height, matrix, letters, mm (per
   * unit at zoom 1) or null, region: {left, top, width, height} or null, labels: LabelPicture or
   * null, shade: canvas or null, dim: whether the rest is darkened, thin: whether the region is
   * seen from its edge}.
   * `keep` leaves pan and zoom as they are.
   */
  show(scene, keep = false) {
    this.scene = scene;
    if (scene.tiles) scene.tiles.arrived = () => this.imageChanged();
    if (!keep) this.fit();
    this.redraw();
  }

  resize() {
    const { width, height } = this.root.getBoundingClientRect();
    if (!width || !height) return;
    this.size = { width, height };
    this.density = window.devicePixelRatio;
    for (const canvas of Object.values(this.layers)) {
      canvas.width = Math.round(width * this.density);
      canvas.height = Math.round(height * this.density);
    }
    if (this.fits) this.fit(this.fits.whole);
    this.redraw();
  }

  /** From (column, row) to the view's own pixels. */
  get matrix() {
    return matrixOf(this.scene, this);
  }

  /** The rectangle of a scene that is seen when it is shown, and pixels of the screen by pixel. */
  seenFirst(scene) {
    const first = this.fitted(scene, false);
    return [this.seen(matrixOf(scene, first)), first.zoom * this.density];
  }

  /** The rectangle of the image in view. */
  seen(matrix) {
    const { width: right, height: bottom } = this.size;
    return around(matrix.inverse(), { left: 0, top: 0, right, bottom });
  }

  /** The point of the image, as (column, row), under a place of the window. */
  toImage(clientX, clientY) {
    const box = this.root.getBoundingClientRect();
    return this.matrix.inverse().transformPoint({ x: clientX - box.left, y: clientY - box.top });
  }

  /** The place in the window of a point of the image. */
  toScreen(x, y) {
    const box = this.root.getBoundingClientRect();
    const point = this.matrix.transformPoint({ x, y });
    return { x: point.x + box.left, y: point.y + box.top };
  }

  /** Fits the region (or, without one or asked for, the whole image) into the view. */
  fit(whole = false) {
    if (!this.scene) return;
    Object.assign(this, this.fitted(this.scene, whole), { fits: { whole } });
    this.redraw();
  }

  /** The {zoom, origin} of a scene that is fitted. */
  fitted(scene, whole) {
    const { region, width, height } = scene;
    const r = (!whole && region) || { left: 0, top: 0, width, height };
    const rect = { ...r, right: r.left + r.width, bottom: r.top + r.height };
    const box = around(scene.matrix, rect);
    const [w, h] = [box.right - box.left, box.bottom - box.top];
    const part = r === region ? MARGIN : 1;
    const { size } = this;
    const zoom = Math.min((part * size.width) / w, (part * size.height) / h, DEEPEST);
    const x = size.width / 2 - ((box.left + box.right) / 2) * zoom;
    const y = size.height / 2 - ((box.top + box.bottom) / 2) * zoom;
    return { zoom, origin: { x, y } };
  }

  /** Zooms about a place of the window (by default the middle of the view). */
  zoomBy(factor, clientX, clientY) {
    const box = this.root.getBoundingClientRect();
    const x = clientX === undefined ? box.width / 2 : clientX - box.left;
    const y = clientY === undefined ? box.height / 2 : clientY - box.top;
    const { width, height } = this.scene;
    const least = Math.min(0.02, 50 / Math.max(width, height));
    const zoom = Math.min(Math.max(this.zoom * factor, least), DEEPEST);
    const change = zoom / this.zoom;
    this.origin = { x: x + (this.origin.x - x) * change, y: y + (this.origin.y - y) * change };
    this.zoom = zoom;
    this.fits = null;
    this.redraw();
  }

  pan(dx, dy) {
    this.origin = { x: this.origin.x + dx, y: this.origin.y + dy };
    this.fits = null;
    this.redraw();
  }

  /** Moves the view only as far as a point of the image is out of sight. */
  reveal(x, y) {
    const point = this.matrix.transformPoint({ x, y });
    const edge = 30;
    const into = (v, most) => (v < edge ? edge - v : v > most - edge ? most - edge - v : 0);
    const [dx, dy] = [into(point.x, this.size.width), into(point.y, this.size.height)];
    if (dx || dy) this.pan(dx, dy);
  }

  redraw() {
    this.stale.image = this.stale.marks = true;
    this.stale.labels = "all";
    this.schedule();
  }

  /** Labels changed within a rectangle of the region. */
  painted(rect) {
    if (!rect) return;
    this.scene.labels.changed(rect);
    this.stale.labels = this.stale.labels === "all" ? "all" : union(this.stale.labels, rect);
    this.schedule();
  }

  imageChanged() {
    this.stale.image = true;
    this.schedule();
  }

  /** Another label map of the region is shown. */
  relabel(labels) {
    this.scene.labels = labels;
    this.stale.labels = "all";
    this.schedule();
  }

  marksChanged() {
    this.stale.marks = true;
    this.schedule();
  }

  schedule() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (!this.scene) return;
      const { image, labels, marks } = this.stale;
      this.stale = { image: false, labels: null, marks: false };
      if (image) this.paintImage(this.begin("image"));
      if (labels) this.paintLabels(this.begin("labels", labels), labels);
      if (marks) this.drawMarks(this.begin("marks"), this);
    });
  }

  /** The context of a canvas, cleared (within a rectangle of the region). */
  begin(name, rect = "all") {
    const context = this.layers[name].getContext("2d");
    context.restore();
    context.save();
    context.setTransform(this.density, 0, 0, this.density, 0, 0);
    if (rect !== "all") {
      const { left, top } = this.scene.region;
      const moved = { left: rect.left + left, top: rect.top + top };
      moved.right = rect.right + left;
      moved.bottom = rect.bottom + top;
      const box = around(this.matrix, moved);
      const [x, y] = [Math.floor(box.left) - 1, Math.floor(box.top) - 1];
      context.beginPath();
      context.rect(x, y, Math.ceil(box.right) + 1 - x, Math.ceil(box.bottom) + 1 - y);
      context.clip();
    }
    context.clearRect(0, 0, this.size.width, this.size.height);
    return context;
  }

  /** Draws pictures in the image's own coordinates. */
  inImage(context, draw) {
    context.save();
    const m = this.matrix;
    context.transform(m.a, m.b, m.c, m.d, m.e, m.f);
    draw();
    context.restore();
  }

  paintImage(context) {
    const { source, tiles, region } = this.scene;
    // Pixels that are painted are seen as they are.
    context.imageSmoothingEnabled = !(this.zoom >= 1.5 && region);
    context.imageSmoothingQuality = "medium";
    if (source) return this.inImage(context, () => context.drawImage(source, 0, 0));
    const { density, zoom, origin, matrix } = this;
    // In whole pixels of the screen, or seams between tiles would be seen.
    context.setTransform(1, 0, 0, 1, 0, 0);
    const on = (v, from) => Math.round((v * zoom + from) * density);
    tiles.draw(this.seen(matrix), zoom * density, (picture, rect, part) => {
      const [left, right] = [on(rect.left, origin.x), on(rect.right, origin.x)];
      const [top, bottom] = [on(rect.top, origin.y), on(rect.bottom, origin.y)];
      context.drawImage(picture, ...part, left, top, right - left, bottom - top);
    });
  }

  /** Draws all that lies over the picture, or (clipped) what changed in a rectangle of it. */
  paintLabels(context, rect) {
    const { region, labels, shade: dark, letters, mm } = this.scene;
    if (region) {
      const { left, top, width, height } = region;
      const box = around(this.matrix, { left, top, right: left + width, bottom: top + height });
      const [w, h] = [box.right - box.left, box.bottom - box.top];
      this.inImage(context, () => {
        context.imageSmoothingEnabled = false;
        if (dark) context.drawImage(dark, left, top);
        context.globalAlpha = this.opacity;
        if (!labels || !this.opacity) return;
        if (rect === "all") {
          const band = this.scene.thin ? BAND / this.zoom : 0;
          const [x, y] = [width, height].map((n) => Math.max(band, n));
          const place = [left - (x - width) / 2, top - (y - height) / 2];
          return context.drawImage(labels.whole(), ...place, x, y);
        }
        const more = Math.ceil(3 / this.zoom) + 1; // the clip is a little larger than the rectangle
        const wide = {
          top: Math.max(rect.top - more, 0),
          left: Math.max(rect.left - more, 0),
          bottom: Math.min(rect.bottom + more, height),
          right: Math.min(rect.right + more, width),
        };
        context.drawImage(labels.part(wide), left + wide.left, top + wide.top);
      });
      if (this.scene.dim) {
        context.beginPath();
        context.rect(0, 0, this.size.width, this.size.height);
        context.rect(box.left, box.top, w, h);
        context.fillStyle = "rgb(0 0 0 / 45%)";
        context.fill("evenodd");
      }
      for (const [style, dash] of [["#000", []], ["#ffd54a", [6, 5]]]) { // prettier-ignore
        context.strokeStyle = style;
        context.setLineDash(dash);
        context.strokeRect(box.left - 0.5, box.top - 0.5, w + 1, h + 1);
      }
    }
    context.setLineDash([]);
    if (letters) this.paintLetters(context, letters);
    if (mm) this.paintBar(context, mm);
  }

  paintLetters(context, [top, right, bottom, left]) {
    const { width, height } = this.size;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const [text, x, y] of [
      [top, width / 2, 13],
      [right, width - 13, height / 2],
      [bottom, width / 2, height - 13],
      [left, 13, height / 2],
    ]) {
      outlined(context, text, x, y, "600 15px system-ui, sans-serif");
    }
  }

  paintBar(context, mm) {
    const length = barLength((mm / this.zoom) * Math.min(150, this.size.width / 2.5));
    const pixels = (length / mm) * this.zoom;
    const y = this.size.height - 12;
    context.fillStyle = "#000";
    context.fillRect(11, y - 2, pixels + 2, 6);
    context.fillStyle = "#fff";
    context.fillRect(12, y - 1, pixels, 4);
    context.textAlign = "left";
    context.textBaseline = "bottom";
    const text = length < 1 ? `${Number((1000 * length).toPrecision(1))} µm` : `${length} mm`;
    outlined(context, text, 12, y - 3, "13px system-ui, sans-serif");
  }
}

/** From (column, row) of a scene to a view. */
function matrixOf(scene, { zoom, origin: { x, y } }) {
  return new DOMMatrix([zoom, 0, 0, zoom, x, y]).multiply(scene.matrix);
}

/** Text that can be read on light and on dark. */
function outlined(context, text, x, y, font) {
  context.font = font;
  context.lineWidth = 3;
  context.lineJoin = "round";
  context.strokeStyle = "#000";
  context.fillStyle = "#fff";
  context.strokeText(text, x, y);
  context.fillText(text, x, y);
}
