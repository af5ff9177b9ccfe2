// The region at work on screen: viewers, tools and the settings of what is seen.

import { el } from "./dom.js";
import { Painter } from "./painter.js";
import * as panels from "./panels.js";
import { pixelsOf } from "./pictures.js";
import { LabelPicture, Viewer } from "./viewer.js";
import { VolumeView } from "./volume.js";
import { NONE, VOID } from "./paint.js";

const $ = (id) => document.getElementById(id);
const FOLLOW = 80; // ms that the pointer rests before the planes beside follow it

export class Screen {
  /** `changed` is called after each stroke. */
  constructor(run, changed) {
    Object.assign(this, { task: run.task, classes: run.classes, loaded: null, hidden: false });
    this.viewer = new Viewer($("stage"), "the region in its image");
    const colours = run.classes.map(({ colour }) => colour);
    this.painter = new Painter(this.viewer, colours, {
      changed: () => {
        this.views?.drawn();
        changed();
      },
      moved: (pixel) => this.moved(pixel),
      pixels: () => this.pixels(),
      step: (k) => this.views.showPlane(k),
    });
    if (this.task !== "3d") return;
    const names = ["second plane", "third plane"];
    const sides = names.map((name, i) => new Viewer($(`side${i}`), name));
    const section = (axis, index) => {
      const plane = this.loaded.work.section(axis, index);
      return plane && new LabelPicture(plane, colours);
    };
    const shown = (k) => this.shownPlane(k);
    this.views = new VolumeView(this.viewer, sides, { shown, section });
  }

  /** Puts a region on screen. */
  async show(loaded) {
    this.loaded = loaded;
    this.enable(true);
    const { description, work, scene, volume } = loaded;
    const { number, image, roi, state, by } = description;
    this.painter.open(work);
    this.follow = clearTimeout(this.follow);
    const again = state === "done" && by ? `, done by ${by}` : "";
    $("title").textContent = `${number}  ${roi || image}${again}`;
    $("title").title = roi ? `${image} / ${roi}` : image;
    panels.showPlace("");
    panels.showShares(null);
    if (this.task === "roi") panels.showClass(description.label ?? null);
    if (volume) {
      await this.views.open(volume, work);
      this.showWindow();
      return;
    }
    const labels = scene.region ? this.painter.show(0) : null;
    this.viewer.show({ ...scene, labels, shade: work.shades[0], dim: true });
  }

  clear() {
    this.loaded = null;
    this.enable(false);
    this.painter.open(null);
    if (this.views) this.views.volume = null;
    for (const id of ["title", "place"]) $(id).textContent = "";
  }

  enable(on) {
    for (const id of ["done", "skip"]) $(id).disabled = !on;
  }

  /** Volumes: plane k of the region is on screen (null: a neighbour); returns its labels. */
  shownPlane(k) {
    const picture = this.painter.show(k);
    this.moved(null);
    return picture;
  }

  /** Says what is painted under the pointer, and where that is ([row, column] of the image). */
  moved(pixel) {
    const { loaded, views, painter } = this;
    if (!loaded) return;
    const said = [];
    let colour = undefined;
    if (views?.volume) {
      const [first, last] = views.range;
      const range = first === last ? `${first}` : `${first} to ${last}`;
      const here = views.plane === null ? `, not in the region (${range}; Home)` : "";
      const part = first < last && !here ? ` (region: ${range})` : "";
      said.push(`slice ${views.index + 1} of ${views.volume.shape[views.axis]}${part}${here}`);
    }
    if (pixel) {
      const [row, column] = pixel;
      said.push(`y ${row}, x ${column}`);
      const label = this.labelAt(row, column);
      if (label !== NONE) {
        said.unshift(label === VOID ? "cannot tell" : this.classes[label].name);
        colour = label === VOID ? undefined : this.classes[label].colour;
      }
      if (views?.volume && !painter.stroke) this.followTo(row, column);
    }
    panels.showPlace(said.join(" · "), colour);
  }

  labelAt(row, column) {
    const plane = this.painter.plane;
    if (!plane) return NONE;
    const { left, top } = this.loaded.work.region;
    const [y, x] = [row - top, column - left];
    const inside = y >= 0 && x >= 0 && y < plane.height && x < plane.width;
    return inside ? plane.labels[y * plane.width + x] : NONE;
  }

  /** The planes beside go through the voxel under the pointer. */
  followTo(row, column) {
    clearTimeout(this.follow);
    this.follow = setTimeout(() => {
      const { views } = this;
      if (!views.volume) return;
      const voxel = [...views.voxel];
      [voxel[views.others[0]], voxel[views.others[1]]] = [row, column];
      views.go(voxel).catch((error) => panels.say(error.message));
    }, FOLLOW);
  }

  /** RGBA of the region's pixels: the image's own, or grey values as they are shown. */
  async pixels() {
    const { loaded } = this;
    const { region } = loaded.work;
    if (loaded.volume) return pixelsOf([{ source: this.viewer.scene.source, left: 0, top: 0 }], region);
    const { left, top, width, height } = region;
    const rect = { left, top, right: left + width, bottom: top + height };
    return (loaded.pixels ||= pixelsOf(await loaded.scene.tiles.pixels(rect), region));
  }

  /** Fills what is not painted from a proposal; returns whether that changed anything. */
  propose(pixels) {
    return this.redrawn((work) => work.propose(pixels));
  }

  /** Takes back what a proposal has filled. */
  withdraw() {
    return this.redrawn((work) => work.withdraw());
  }

  /** Has the work changed all over; returns what the change does. */
  redrawn(change) {
    const { work } = this.loaded;
    const changed = change(work);
    const { height, width } = work.planes[0];
    const all = { top: 0, left: 0, bottom: height, right: width };
    work.planes.forEach((_, i) => this.painter.redraw(i, all));
    this.views?.drawn();
    return changed;
  }

  setOpacity(part) {
    for (const viewer of [this.viewer, ...(this.views?.sides || [])]) {
      viewer.opacity = part;
      viewer.redraw();
    }
  }

  setLight(brightness, contrast) {
    const plain = brightness === 1 && contrast === 1;
    const filter = plain ? "" : `brightness(${brightness}) contrast(${contrast})`;
    this.viewer.layers.image.style.filter = filter;
  }

  // The window of grey values ----------------------------------------------------------------

  /** Shows the volume's presets and its window on the sliders. */
  showWindow() {
    const { volume } = this.views;
    const { low, high } = volume.window;
    const preset = ({ name, low: a, high: b }) =>
      el("button", { type: "button", click: () => this.window(a, b) }, name);
    const automatic = async () => {
      const found = await volume.automatic(this.views.axis, this.views.index);
      this.window(found.low, found.high);
    };
    const auto = el("button", { type: "button", click: automatic }, "automatic");
    $("presets").replaceChildren(...volume.presets.map(preset), auto);
    const { low: least, high: most } = volume.levels;
    $("level").value = (1000 * ((low + high) / 2 - least)) / (most - least);
    $("window").value = (1000 * (high - low)) / (most - least);
    const short = (v) => (Math.abs(v) >= 10 ? Math.round(v) : Number(v.toPrecision(2)));
    $("level-said").textContent = short((low + high) / 2);
    $("window-said").textContent = short(high - low);
  }

  async window(low, high) {
    if (!this.views.volume) return;
    await this.views.setWindow(low, high);
    this.showWindow();
  }

  /** Takes the window from the sliders. */
  windowFromSliders() {
    if (!this.views.volume) return;
    const { low, high } = this.views.volume.levels;
    const level = low + (Number($("level").value) / 1000) * (high - low);
    const width = (Number($("window").value) / 1000) * (high - low);
    this.window(level - width / 2, level + width / 2);
  }
}
