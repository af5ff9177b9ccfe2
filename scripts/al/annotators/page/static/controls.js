// What keys, buttons, sliders and the wheel do.

import { askName } from "./dialogs.js";
import { ask } from "./dom.js";
import { commandOf } from "./keys.js";
import * as panels from "./panels.js";
import { VOID } from "./paint.js";

const $ = (id) => document.getElementById(id);
const STEP = 80; // pixels of the screen that an arrow moves the view

export class Controls {
  constructor(page) {
    Object.assign(this, { page, screen: page.screen, painter: page.screen.painter });
    this.viewer = page.screen.viewer;
    document.body.classList.add(`task-${page.task}`);
    panels.palette(page.classes, page.task, (value) => this.pickValue(value));
    if (page.task !== "roi") this.pickValue(0);
    panels.showTool(this.painter);
    this.listen();
    this.buttons();
    this.sliders();
  }

  listen() {
    document.addEventListener("keydown", (event) => {
      if (document.querySelector("dialog[open]")) return;
      const command = commandOf(event, this.page.task);
      if (!command || (event.repeat && ["done", "open", "pick"].includes(command[0]))) return;
      event.preventDefault();
      this.run(command[0], command[1], event);
    });
    document.addEventListener("keyup", (event) => {
      if (event.key === " ") this.letGo();
    });
    addEventListener("blur", () => this.letGo());
    // A button that was clicked on does not keep the keys.
    document.addEventListener("click", (event) => {
      if (event.detail) event.target.closest("button, input[type=checkbox]")?.blur();
    });
    for (const viewer of [this.viewer, ...(this.screen.views?.sides || [])]) {
      const wheel = (event) => this.wheel(event, viewer);
      viewer.root.addEventListener("wheel", wheel, { passive: false });
    }
  }

  wheel(event, viewer) {
    event.preventDefault();
    if (!this.page.current || !event.deltaY) return;
    if (this.page.task === "3d" && viewer === this.viewer && !event.ctrlKey) {
      this.turned = (this.turned || 0) + event.deltaY;
      if (Math.abs(this.turned) < 40) return; // of a touchpad
      this.slice(this.turned > 0 ? -1 : 1);
      this.turned = 0;
      return;
    }
    const factor = Math.exp(-Math.min(Math.max(event.deltaY, -200), 200) / 400);
    viewer.zoomBy(factor, event.clientX, event.clientY);
  }

  buttons() {
    for (const button of document.querySelectorAll("#tools [data-tool]")) {
      button.addEventListener("click", () => this.run("tool", button.dataset.tool));
    }
    const commands = {
      rest: ["rest", false],
      undo: ["travel", "undo"],
      redo: ["travel", "redo"],
      skip: ["skip"],
      done: ["done"],
      help: ["help"],
      toggle: ["grid"],
    };
    for (const [id, [command, argument]] of Object.entries(commands)) {
      $(id).addEventListener("click", () => this.run(command, argument));
    }
    $("toggle").hidden = this.page.task !== "roi";
    $("me").addEventListener("click", async () => {
      const { api } = this.page;
      api.annotator = await askName(api.annotator);
      localStorage.setItem("annotator", api.annotator);
      this.page.poll();
    });
    $("list").addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") document.activeElement.blur();
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      const items = [...$("list").querySelectorAll("button")];
      items[items.indexOf(document.activeElement) + by]?.focus();
    });
  }

  sliders() {
    const on = (id, listener) => {
      $(id).addEventListener("input", () => listener(Number($(id).value)));
    };
    const percent = (id) => {
      const output = $(id).parentElement.querySelector("output");
      output.textContent = `${$(id).value} %`;
      return Number($(id).value) / 100;
    };
    on("size", (value) => this.set({ diameter: value }));
    on("tolerance", (value) => this.set({ tolerance: value }));
    on("opacity", () => this.screen.setOpacity(percent("opacity")));
    const light = () => this.screen.setLight(percent("brightness"), percent("contrast"));
    on("brightness", light);
    on("contrast", light);
    on("level", () => this.screen.windowFromSliders());
    on("window", () => this.screen.windowFromSliders());
    $("proposal").addEventListener("change", () => this.switchProposal($("proposal").checked));
    light();
    this.screen.setOpacity(percent("opacity"));
  }

  set(values) {
    Object.assign(this.painter, values);
    panels.showTool(this.painter);
  }

  /** Takes a class (or VOID) to paint; a RoI gets it. */
  pickValue(value) {
    const { page, painter } = this;
    if (page.task === "roi") {
      if (page.inGrid || page.current) page.classify(value);
      return;
    }
    painter.value = value;
    if (painter.tool === "eraser") painter.choose("brush");
    panels.showTool(painter);
    panels.showClass(value);
  }

  switchProposal(on) {
    const { page } = this;
    page.proposing = on;
    $("proposal").checked = on;
    const { work, description } = page.current || {};
    const lacks = work && (!work.proposal.shown || work.withdrawn);
    if (on && lacks && description.has_proposal) page.propose();
    if (!on && work?.filled && page.screen.withdraw()) page.changed();
    if (!on && page.task === "roi") panels.showShares(null);
  }

  slice(by) {
    const { views } = this.screen;
    if (views?.volume) views.step(by).catch((error) => panels.say(error.message));
  }

  letGo() {
    this.painter.grip = false;
    this.viewer.root.classList.remove("grip");
    if (this.painter.cursor) this.painter.up();
  }

  /** Does a command of the keys' table. */
  run(name, argument, event = {}) {
    const { page } = this;
    const busy = page.sending || (!page.current && !page.inGrid);
    if (busy && !["help", "list", "grid"].includes(name)) return;
    this[`on_${name}`](argument, event);
  }

  on_pick(place) {
    if (place < this.page.classes.length) this.pickValue(place);
  }

  on_class(by) {
    const values = [...this.page.classes.keys(), VOID];
    const at = values.indexOf(this.painter.value) + by;
    this.pickValue(values[(at + values.length) % values.length]);
  }

  on_void() {
    this.pickValue(VOID);
  }

  on_done() {
    if (this.painter.close() || this.painter.stroke) return;
    this.page.done();
  }

  on_skip() {
    if (this.page.inGrid) panels.say("Open the RoI (Enter) to skip it.");
    else this.page.skip();
  }

  on_grid() {
    if (this.page.inGrid) this.page.closeGrid();
    else this.page.showGrid(true);
  }

  on_open() {
    if (this.page.inGrid) this.page.closeGrid();
  }

  on_list() {
    const list = $("list");
    (list.querySelector("[aria-current]") || list.querySelector("button"))?.focus();
  }

  on_tool(tool) {
    this.painter.choose(tool);
    panels.showTool(this.painter);
  }

  on_escape() {
    if (!this.painter.drop() && this.painter.cursor) this.painter.toggleCursor();
  }

  on_rest(all) {
    this.painter.fillRest(all);
  }

  on_size(step) {
    this.painter.resize(step);
    panels.showTool(this.painter);
  }

  on_tolerance(step) {
    this.set({ tolerance: Math.min(Math.max(this.painter.tolerance + step, 0), 128) });
  }

  on_travel(which) {
    this.painter.travel(which);
  }

  on_proposal() {
    if (!$("proposal").disabled) this.switchProposal(!this.page.proposing);
  }

  on_hide() {
    this.screen.hidden = !this.screen.hidden;
    this.screen.setOpacity(this.screen.hidden ? 0 : Number($("opacity").value) / 100);
  }

  on_cursor() {
    this.painter.toggleCursor();
  }

  on_apply(_, event) {
    const { painter } = this;
    if (event.repeat) return;
    if (painter.cursor) return painter.act(painter.cursor);
    painter.grip = true;
    this.viewer.root.classList.add("grip");
  }

  on_fit(whole) {
    this.viewer.fit(whole);
  }

  on_zoom(factor) {
    this.viewer.zoomBy(factor);
  }

  on_arrow([dx, dy], event) {
    const { page, painter } = this;
    const step = event.shiftKey ? 10 : 1;
    if (page.inGrid) page.grid.move(dx, dy);
    else if (painter.cursor) painter.moveCursor(step * dx, step * dy);
    else this.viewer.pan(-STEP * dx, -STEP * dy);
  }

  on_slice(by) {
    this.slice(by);
  }

  on_home() {
    const { views } = this.screen;
    this.slice(views.start[views.axis] - views.index);
  }

  on_help() {
    ask("Keys", [panels.helpOf(this.page.task, this.page.classes)], [["yes", "Close"]]);
  }
}
