// One region at work: its label map with history, what is recorded of the work, and its drafts.

import { fromBase64, toBase64, Refusal } from "./api.js";
import { planeAxes } from "./geometry.js";
import * as paint from "./paint.js";

const DELAY = 100; // ms after a stroke until it is saved
const LONGEST = 10000; // ms between tries while the server does not answer

export class Work {
  /** `place` names run and cycle, for drafts that this browser keeps. */
  constructor(description, place) {
    this.description = description;
    const { kind, start, size, axis, image, roi, id, cycle } = description;
    // `draft`: by which the server knows its draft as this page has read or written it last.
    Object.assign(this, { id, cycle, draft: description.draft });
    this.key = `draft ${place} ${image} ${JSON.stringify([roi, start, size])}`;
    this.seconds = description.seconds || 0;
    this.tools = { ...description.tools };
    this.proposal = { shown: Boolean(description.proposal_shown), changed: null };
    this.proposed = null;
    this.planes = [];
    if (kind === "roi") return;
    this.axis = size.length === 3 ? axis : null;
    const [rows, columns] = this.axis === null ? [0, 1] : planeAxes(this.axis);
    const [height, width] = [size[rows], size[columns]];
    this.all = this.ordered(description.pixels);
    // From finished regions that overlap, or this one; all else is drawn on it.
    this.known = this.all.slice().fill(paint.NONE);
    if (description.known) this.known = this.ordered(description.known);
    const masks = description.mask ? this.ordered(description.mask) : null;
    for (let i = 0; i < this.all.length; i += height * width) {
      const cut = (array) => array && array.subarray(i, i + height * width);
      this.planes.push({ height, width, labels: cut(this.all), mask: cut(masks) });
    }
    this.masks = masks;
    this.history = new paint.History(this.all, this.planes);
  }

  /** Base64 of the box as planes along the slice axis, one after the other. */
  ordered(text) {
    return paint.moveAxis(fromBase64(text), this.description.size, this.axis);
  }

  /** Where the region lies in a plane: {left, top, width, height}. */
  get region() {
    const { start } = this.description;
    const [rows, columns] = this.axis === null ? [0, 1] : planeAxes(this.axis);
    const { height, width } = this.planes[0];
    return { left: start[columns], top: start[rows], width, height };
  }

  /** What is drawn across another axis than the slices', as a plane; null outside the region. */
  section(axis, index) {
    const { start, size } = this.description;
    const at = index - start[axis];
    if (at < 0 || at >= size[axis]) return null;
    const [rows, columns] = planeAxes(this.axis);
    const stride = { [columns]: 1, [rows]: size[columns], [this.axis]: size[rows] * size[columns] };
    const [height, width] = planeAxes(axis).map((a) => size[a]);
    const [down, across] = planeAxes(axis).map((a) => stride[a]);
    const cut = (array) =>
      Uint8Array.from({ length: height * width }, (_, i) => {
        const [y, x] = [Math.floor(i / width), i % width];
        return array[at * stride[axis] + y * down + x * across];
      });
    return { height, width, labels: cut(this.all), mask: this.masks && cut(this.masks) };
  }

  /** How many pixels are to be painted. */
  get size() {
    return paint.count(this.all, this.masks, () => true);
  }

  get unpainted() {
    return paint.count(this.all, this.masks, (label) => label === paint.NONE);
  }

  /** Gives pixels that are not painted the model's proposal, as one stroke. */
  propose(text) {
    this.proposed = this.ordered(text);
    this.proposal.shown = true;
    this.withdrawn = false;
    this.filled = this.all.map((label) => label === paint.NONE);
    this.history.begin();
    const n = this.all.length / this.planes.length;
    this.planes.forEach((plane, i) => {
      const values = this.proposed.subarray(i * n, (i + 1) * n);
      this.history.touch(i, paint.fillRest(plane, 0, values));
    });
    return this.history.end();
  }

  /** Takes back what a proposal has filled and nobody has painted over, as one stroke. */
  withdraw() {
    const { all, filled, proposed } = this;
    this.replace(all.map((label, i) => (filled[i] && label === proposed[i] ? paint.NONE : label)));
    Object.assign(this, { filled: null, withdrawn: true });
    return true;
  }

  used(tool) {
    this.tools[tool] = (this.tools[tool] || 0) + 1;
  }

  /** What was drawn here, on what is known. */
  get drawn() {
    return paint.drawnOn(this.known, this.all);
  }

  /** What travels to the server. */
  async body() {
    const { seconds, tools, proposal, proposed } = this;
    if (proposed) {
      const stored = paint.stored(this.all);
      proposal.changed = paint.count(stored, this.masks, (label, i) => label !== proposed[i]);
    }
    const box = paint.moveAxis(this.drawn, this.description.size, this.axis, true);
    const numbers = { seconds: Math.round(10 * seconds) / 10, tools, proposal: { ...proposal } };
    return { pixels: await toBase64(box), ...numbers };
  }

  /** Keeps the drawing in this browser; `saved`: the server has it too. */
  async keep(saved) {
    const runs = await toBase64(paint.toRuns(this.drawn));
    try {
      localStorage.setItem(this.key, JSON.stringify({ saved, runs, draft: this.draft }));
    } catch {
      localStorage.removeItem(this.key); // no room: what is there may be older than the server's
    }
  }

  /**
   * A drawing that this browser kept and the server does not have, or null: its labels, and whether
   * the server has `another` than it was made on.
   */
  kept() {
    const kept = JSON.parse(localStorage.getItem(this.key) || "null");
    if (!kept || kept.saved) return null;
    const runs = new Uint32Array(fromBase64(kept.runs).buffer);
    const labels = paint.overKnown(this.known, paint.fromRuns(runs, this.all.length));
    if (labels.every((label, i) => label === this.all[i])) return null;
    return { labels, another: kept.draft !== this.draft && !this.description.own };
  }

  /** Puts labels in the place of all that is drawn, as one stroke. */
  replace(labels) {
    this.history.begin();
    this.all.set(labels);
    const rect = { top: 0, left: 0, bottom: this.planes[0].height, right: this.planes[0].width };
    this.planes.forEach((_, i) => this.history.touch(i, rect));
    this.history.end();
  }

  forget() {
    localStorage.removeItem(this.key);
  }
}

/** Clears drafts of a run's other cycles that the server has too. */
export function forgetSaved(run, place) {
  for (const key of Object.keys(localStorage)) {
    if (!key.startsWith(`draft ${run} `) || key.startsWith(`draft ${place} `)) continue;
    if (JSON.parse(localStorage.getItem(key)).saved) localStorage.removeItem(key);
  }
}

/** Saves drafts of a work: soon after each stroke, one at a time, again after a failure. */
export class Saver {
  /** `report(state, error)`: "saved", "saving", "failed" or "lost". */
  constructor(api, work, report) {
    Object.assign(this, { api, work, report, wanted: false, sending: null, timer: 0, wait: DELAY });
    this.stopped = false;
  }

  /** Something was drawn. */
  changed() {
    this.wanted = true;
    this.report("saving");
    this.later(DELAY);
  }

  later(delay) {
    clearTimeout(this.timer);
    if (!this.stopped) this.timer = setTimeout(() => this.send(), delay);
  }

  send() {
    if (!this.wanted || this.sending || this.stopped) return this.sending;
    this.wanted = false;
    this.sending = this.once().finally(() => {
      this.sending = null;
      if (this.wanted) this.later(this.wait);
    });
    return this.sending;
  }

  async once() {
    await this.work.keep(false);
    try {
      const { draft } = await this.api.draft(this.work, await this.work.body());
      this.work.draft = draft;
      if (this.stopped) return;
      this.wait = DELAY;
      if (this.wanted) return;
      await this.work.keep(true);
      this.report("saved");
    } catch (error) {
      if (this.stopped) return;
      const lost = error instanceof Refusal && error.lost;
      this.report(lost ? "lost" : "failed", error);
      if (lost) this.stopped = true;
      this.wanted = true;
      this.wait = Math.min(Math.max(2 * this.wait, 1000), LONGEST);
    }
  }

  /** Ends saving, as what is drawn now is sent in another way or not at all. */
  async stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.sending;
  }

  /** Saves what is not saved yet, then ends. */
  async flush() {
    clearTimeout(this.timer);
    await this.sending;
    await this.send();
    await this.stop();
  }
}
