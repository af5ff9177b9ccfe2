// Tools: what pointer and keys do to the label map of the region at work.

import * as paint from "./paint.js";
import { LabelPicture } from "./viewer.js";

export const TOOLS = ["brush", "eraser", "polygon", "fill", "snap"];
const WIDEST = 401; // of a brush, in pixels

export class Painter {
  /**
   * `hooks`: changed() after a stroke, moved(point | null) when pixel [row, column] of the image is
   * pointed at, pixels() brings the region's RGBA, step(k) shows plane k of the region.
   */
  constructor(viewer, colours, hooks) {
    Object.assign(this, { viewer, colours, hooks });
    Object.assign(this, { tool: "brush", diameter: 9, tolerance: 20, value: 0 });
    Object.assign(this, { work: null, index: null, stroke: null, points: [], drag: null });
    this.pointer = null; // pixel of the region under the pointer
    this.cursor = null; // the keyboard's
    this.grip = false; // space is held: the pointer moves the view
    viewer.drawMarks = (context) => this.drawMarks(context);
    const on = (type, listener, options) => viewer.root.addEventListener(type, listener, options);
    on("pointerdown", (event) => this.down(event));
    on("pointermove", (event) => this.move(event));
    on("pointerup", () => this.up());
    on("pointercancel", () => this.up());
    on("lostpointercapture", () => this.up());
    on("pointerleave", () => this.point(null));
    on("dblclick", () => this.close());
    on("auxclick", (event) => event.preventDefault());
  }

  /** The plane on screen, where it is one of the region's. */
  get plane() {
    return this.work && this.index !== null ? this.work.planes[this.index] : null;
  }

  /** Takes up a work, or none. */
  open(work) {
    this.up();
    Object.assign(this, { work, index: null, points: [], cursor: null });
    this.pictures = work ? work.planes.map(() => null) : [];
  }

  /** Shows plane `index` of the work (null: none of its planes is on screen). */
  show(index) {
    this.up();
    if (index !== this.index) this.points = [];
    this.index = index;
    return index === null ? null : this.picture(index);
  }

  picture(index) {
    this.pictures[index] ||= new LabelPicture(this.work.planes[index], this.colours);
    return this.pictures[index];
  }

  choose(tool) {
    this.drop();
    this.tool = tool;
    this.viewer.marksChanged();
  }

  resize(step) {
    const change = step * Math.max(2, 2 * Math.floor(this.diameter / 10));
    this.diameter = Math.min(Math.max(this.diameter + change, 1), WIDEST);
    this.viewer.marksChanged();
  }

  /** The pixel of the region [row, column] under an event; it may lie outside. */
  place(event) {
    const { left, top } = this.work.region;
    const point = this.viewer.toImage(event.clientX, event.clientY);
    return [Math.floor(point.y) - top, Math.floor(point.x) - left];
  }

  down(event) {
    if (event.button === 1 || (event.button === 0 && this.grip) || !this.work?.planes.length) {
      event.preventDefault();
      this.drag = [event.clientX, event.clientY];
      this.viewer.root.classList.add("dragging");
    } else if (event.button === 0) {
      this.cursor = null;
      this.act(this.place(event));
    } else {
      return;
    }
    this.viewer.root.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (this.drag) {
      this.viewer.pan(event.clientX - this.drag[0], event.clientY - this.drag[1]);
      this.drag = [event.clientX, event.clientY];
      return;
    }
    if (!this.work?.planes.length) return;
    if (this.stroke) {
      const events = event.getCoalescedEvents?.() || [];
      for (const one of events.length ? events : [event]) this.drawTo(this.place(one));
    }
    this.point(this.place(event));
  }

  up() {
    this.drag = null;
    this.viewer.root.classList.remove("dragging");
    if (!this.stroke) return;
    this.stroke = null;
    this.finish(this.tool);
  }

  point(pixel) {
    this.pointer = pixel;
    this.viewer.marksChanged();
    const region = this.work?.planes.length ? this.work.region : null;
    this.hooks.moved(pixel && region ? [pixel[0] + region.top, pixel[1] + region.left] : null);
  }

  /** What the tool does at a pixel: a stroke begins, a corner is set, or an area is filled. */
  act(pixel) {
    const { tool, plane, value, work } = this;
    if (!plane) return;
    if (tool === "polygon") {
      const last = this.points.at(-1);
      if (!last || last[0] !== pixel[0] || last[1] !== pixel[1]) this.points.push(pixel);
      this.viewer.marksChanged();
      return;
    }
    if (tool === "brush" || tool === "eraser") {
      work.history.begin();
      this.stroke = pixel;
      this.drawTo(pixel);
      return;
    }
    const [y, x] = pixel;
    const inside = y >= 0 && x >= 0 && y < plane.height && x < plane.width;
    if (!inside || (plane.mask && !plane.mask[y * plane.width + x])) return;
    if (tool === "fill") return this.once(tool, (p) => paint.flood(p, y, x, value));
    this.snap(plane, y, x);
  }

  /** Paints what looks like a pixel, when the pixels are there. */
  async snap(plane, y, x) {
    const { value, tolerance } = this;
    const pixels = await this.hooks.pixels();
    if (plane !== this.plane) return; // went on meanwhile
    this.once("snap", (p) => paint.grow(p, pixels, y, x, tolerance, value));
  }

  drawTo(pixel) {
    const value = this.tool === "eraser" ? paint.NONE : this.value;
    this.touch(this.index, paint.segment(this.plane, this.stroke, pixel, this.diameter, value));
    this.stroke = pixel;
  }

  touch(index, rect) {
    if (!rect) return;
    this.work.history.touch(index, rect);
    this.redraw(index, rect);
  }

  redraw(index, rect) {
    if (index === this.index) this.viewer.painted(rect);
    else this.pictures[index]?.changed(rect);
  }

  finish(tool) {
    if (!this.work.history.end()) return;
    this.work.used(tool);
    this.hooks.changed();
  }

  /** A stroke of one operation on the plane on screen, or on all planes of the region. */
  once(tool, operation, all = false) {
    if (!this.plane || this.stroke) return;
    this.work.history.begin();
    this.work.planes.forEach((plane, i) => {
      if (all || i === this.index) this.touch(i, operation(plane));
    });
    this.finish(tool);
  }

  fillRest(all) {
    this.once("rest", (plane) => paint.fillRest(plane, this.value), all);
  }

  /** Takes back a stroke or makes it again, where it happened. */
  travel(which) {
    if (!this.work?.planes.length || this.stroke) return;
    if (which === "undo" && this.points.length) {
      this.points.pop();
      this.viewer.marksChanged();
      return;
    }
    const parts = this.work.history[which]();
    if (!parts) return;
    for (const { plane, rect } of parts) this.redraw(plane, rect);
    if (parts.every(({ plane }) => plane !== this.index)) this.hooks.step(parts[0].plane);
    this.hooks.changed();
  }

  /** Closes the polygon; returns whether there was one. */
  close() {
    if (this.tool !== "polygon" || !this.points.length) return false;
    const points = this.points;
    this.points = [];
    this.once("polygon", (plane) => paint.polygon(plane, points, this.value));
    this.viewer.marksChanged();
    return true;
  }

  /** Drops the polygon; returns whether there was one. */
  drop() {
    const had = this.points.length > 0;
    this.points = [];
    this.viewer.marksChanged();
    return had;
  }

  /** Takes up the keyboard's cursor, at the pointer or in the middle, or lays it down. */
  toggleCursor() {
    if (!this.plane) return;
    const { height, width } = this.plane;
    if (this.cursor) this.cursor = null;
    else this.cursor = this.pointer || [height >> 1, width >> 1];
    this.moveCursor(0, 0);
  }

  /** Moves the cursor by screen directions, drawing where a stroke has begun. */
  moveCursor(dx, dy) {
    this.viewer.marksChanged();
    if (!this.cursor) return;
    const { a, b, c, d } = this.viewer.scene.matrix;
    const column = dx * Math.sign(a) + dy * Math.sign(b);
    const row = dx * Math.sign(c) + dy * Math.sign(d);
    const clip = (v, n) => Math.min(Math.max(v, 0), n - 1);
    const { height, width } = this.plane || this.work.planes[0];
    this.cursor = [clip(this.cursor[0] + row, height), clip(this.cursor[1] + column, width)];
    const { left, top } = this.work.region;
    this.viewer.reveal(this.cursor[1] + left + 0.5, this.cursor[0] + top + 0.5);
    if (this.stroke) this.drawTo(this.cursor);
    this.hooks.moved([this.cursor[0] + top, this.cursor[1] + left]);
  }

  drawMarks(context) {
    const at = this.cursor || this.pointer;
    if (!this.plane) return;
    const { left, top } = this.work.region;
    const m = this.viewer.matrix;
    const screen = ([y, x]) => m.transformPoint({ x: x + left + 0.5, y: y + top + 0.5 });
    context.beginPath();
    if (this.points.length) {
      [...this.points, ...(at ? [at] : [])].map(screen).forEach((p, i) => {
        if (i) context.lineTo(p.x, p.y);
        else context.moveTo(p.x, p.y);
      });
      for (const p of this.points.map(screen)) context.rect(p.x - 3, p.y - 3, 6, 6);
    }
    if (at) {
      const p = screen(at);
      if (this.tool === "brush" || this.tool === "eraser") {
        this.viewer.inImage(context, () => {
          const radius = this.diameter / 2;
          context.moveTo(at[1] + left + 0.5 + radius, at[0] + top + 0.5);
          context.arc(at[1] + left + 0.5, at[0] + top + 0.5, radius, 0, 2 * Math.PI);
        });
      }
      if (this.cursor || this.tool === "fill" || this.tool === "snap") {
        for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) { // prettier-ignore
          context.moveTo(p.x + 4 * dx, p.y + 4 * dy);
          context.lineTo(p.x + 14 * dx, p.y + 14 * dy);
        }
      }
    }
    for (const [style, width] of [["#000", 3], ["#fff", 1.3]]) { // prettier-ignore
      context.strokeStyle = style;
      context.lineWidth = width;
      context.stroke();
    }
  }
}
