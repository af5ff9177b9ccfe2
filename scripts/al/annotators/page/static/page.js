// The way through a cycle: which region is at work, who holds it, and what comes next.

import { Refusal } from "./api.js";
import { ask, askReason, el } from "./dom.js";
import * as panels from "./panels.js";
import { load } from "./pictures.js";
import { Grid } from "./rois.js";
import { Screen } from "./screen.js";
import { Saver } from "./work.js";

const $ = (id) => document.getElementById(id);
const POLL = 10000; // ms between looks at the cycle while a region is at work
const POLL_IDLE = 2000;
const BEAT = 20000; // ms between signs of life for a region
const ASLEEP = 300000; // ms without input after which a region is no longer kept from others
const ACTIVE = 30000; // ms after the last input that count as work

export class Page {
  constructor(api, run) {
    Object.assign(this, { api, run, task: run.task, classes: run.classes });
    Object.assign(this, { current: null, ahead: null, cycle: null, sending: false, grid: null });
    this.proposing = false; // the switch: proposals are shown
    this.failed = new Set(); // regions that could not be shown
    this.input = this.tick = Date.now();
    this.screen = new Screen(run, () => this.changed());
    if (this.task === "roi") {
      const chosen = () => (this.gridSeconds = 0);
      const open = (id) => this.closeGrid(id);
      this.grid = new Grid($("grid"), api, this.classes, { open, chosen });
    }
  }

  async start() {
    for (const type of ["pointerdown", "pointermove", "keydown", "wheel"]) {
      addEventListener(type, () => (this.input = Date.now()), { capture: true, passive: true });
    }
    document.addEventListener("visibilitychange", () => !document.hidden && this.wake());
    addEventListener("focus", () => this.wake());
    addEventListener("pagehide", () => this.holding.forEach((id) => this.api.release(id)));
    setInterval(() => this.count(), 1000);
    setInterval(() => Date.now() - this.input < ASLEEP && this.beat(), BEAT);
    const last = sessionStorage.getItem("current");
    this.show0 = last === null ? null : Number(last);
    await this.poll();
  }

  /** Regions that are kept from others. */
  get holding() {
    return [this.current, this.ahead].filter(Boolean).map((held) => held.id);
  }

  /** Counts active seconds. */
  count() {
    const now = Date.now();
    const passed = Math.min(now - this.tick, 2000) / 1000;
    this.tick = now;
    if (document.hidden || now - this.input > ACTIVE) return;
    if (this.inGrid) this.gridSeconds += passed;
    else if (this.current) this.current.work.seconds += passed;
  }

  /** Looks at the cycle, again and again. */
  async poll() {
    clearTimeout(this.timer);
    try {
      const cycle = await this.api.cycle();
      if (this.offline) panels.showSaved("");
      this.offline = false;
      await this.take(cycle);
    } catch (error) {
      if (error instanceof Refusal) panels.say(error.message);
      else this.unreached();
    }
    clearTimeout(this.timer);
    const work = this.current && this.cycle?.standing.state === "annotate";
    this.timer = setTimeout(() => this.poll(), work ? POLL : POLL_IDLE);
  }

  unreached() {
    this.offline = true;
    panels.showSaved("failed", "The server does not answer. What you draw is kept here.");
    if (!this.cycle) panels.showNotice("The server does not answer", "Trying again …");
  }

  /** The page is looked at again, perhaps after a night. */
  wake() {
    this.poll();
    this.beat();
  }

  /** Says that the regions held are still at work. */
  async beat() {
    for (const held of [this.current, this.ahead].filter(Boolean)) {
      try {
        await this.api.beat(held);
      } catch (error) {
        if (!(error instanceof Refusal) || !error.lost) continue;
        if (held === this.current) this.lost(error);
        else if (held === this.ahead) this.ahead = null;
      }
    }
  }

  /** Takes up what the server says of the cycle. */
  async take(cycle) {
    this.cycle = cycle;
    this.showPanels();
    const held = this.current;
    if (held && cycle.standing.state === "annotate" && cycle.standing.cycle !== held.cycle) {
      await held.saver.stop();
      this.leave();
      panels.say("Another cycle has begun. What was drawn and not finished is kept.", 0);
    }
    if (!this.current && !this.sending && !this.inGrid) await this.proceed(null);
  }

  showPanels() {
    const { cycle, run, api } = this;
    panels.showProgress(run, cycle, api.annotator);
    const open = (id) => this.openRegion(id);
    panels.showList(cycle.regions, this.classes, this.current?.id ?? null, api.annotator, open);
    if (this.grid) this.grid.show(cycle.regions, this.place);
    document.title = cycle.total ? `${cycle.done} of ${cycle.total} · ${run.run}` : run.run;
  }

  get place() {
    return `${this.run.run} ${this.cycle.standing.cycle}`;
  }

  /** Fetches what is seen of a described region. */
  async prepare(description) {
    const loaded = await load(this.api, description, this.place);
    return { ...loaded, id: description.id, cycle: description.cycle };
  }

  /** Shows the next region, or says why there is none. */
  async proceed(after) {
    if (this.proceeding) return;
    this.proceeding = true;
    let id = null;
    try {
      let loaded = await this.ahead?.loaded;
      const left = this.ahead;
      this.ahead = null;
      if (loaded && loaded.cycle !== this.cycle.standing.cycle) loaded = null;
      if (left && !loaded) await this.api.release(left.id);
      if (!loaded) {
        const description = await this.describeNext(after);
        id = description?.id ?? null;
        if (id === null) return this.stand();
        loaded = await this.prepare(description);
      }
      await this.show(loaded);
    } catch (error) {
      if (!(error instanceof Refusal)) return this.unreached();
      this.unshown(id ?? error.id, error);
    } finally {
      this.proceeding = false;
    }
  }

  /** The description of the next region, which is held from then on; null where there is none. */
  async describeNext(after) {
    if (this.cycle.standing.state !== "annotate") return null;
    if (this.show0 !== null) {
      const id = this.show0;
      this.show0 = null;
      const there = this.cycle.regions.some((r) => r.id === id && r.state !== "done");
      const opened = there && (await this.api.open(id).catch(() => null));
      if (opened) return opened;
    }
    return this.api.next(after, [...this.failed, ...this.holding]);
  }

  /** A region that cannot be shown, as its image is gone or has changed. */
  unshown(id, error) {
    const next = () => {
      if (id !== null) this.failed.add(id);
      if (id !== null) this.api.release(id);
      this.proceed(id);
    };
    const skip = async () => {
      const reason = await askReason();
      if (reason === null) return;
      await this.api.skip({ id, cycle: this.cycle.standing.cycle }, { reason, seconds: 0 }).catch((e) => panels.say(e.message));
      this.poll();
    };
    const buttons = [["Try again", () => this.proceed(null)]]; // prettier-ignore
    if (id !== null) buttons.push(["Another region", next], ["Skip it", skip]);
    panels.showNotice("This region cannot be shown", error.message, undefined, buttons);
  }

  /** Says what is waited for. */
  stand() {
    const { standing, regions, total } = this.cycle;
    const { state, text, message, fraction } = standing;
    this.screen.clear();
    if (state === "training") {
      const title = `Cycle ${standing.cycle}: the model learns from what was annotated`;
      panels.showNotice(title, `${text}\nThe next regions appear here by themselves.`, fraction);
    } else if (state === "failed") {
      panels.showNotice("The training failed", message || text);
    } else if (state === "finished") {
      panels.showNotice("All is annotated", text || "Every cycle is done. Thank you.");
    } else {
      const busy = regions.filter((region) => region.state === "busy");
      const names = [...new Set(busy.map((region) => region.by))].join(", ");
      const failed = regions.filter((r) => this.failed.has(r.id) && r.state === "open").length;
      const said = [];
      if (busy.length) said.push(`${busy.length} regions are still at work: ${names}.`);
      if (failed) said.push(`${failed} regions could not be shown.`);
      panels.showNotice(total ? "Nothing is left for you here" : "Nothing to do", said.join("\n"));
    }
  }

  /** Puts a region on screen. */
  async show(loaded) {
    const { work, description } = loaded;
    this.current = loaded;
    this.failed.delete(loaded.id);
    sessionStorage.setItem("current", loaded.id);
    panels.hideNotice();
    loaded.saver = this.saverOf(loaded);
    const returned = work.planes.length > 0 && work.recall();
    await this.screen.show(loaded);
    panels.showSaved("");
    if (returned) {
      panels.say("Strokes that had not reached the server are back. Undo takes them away.");
      loaded.saver.changed();
    }
    $("proposal").disabled = !description.has_proposal;
    this.showPanels();
    if (work.proposal.shown || (this.proposing && description.has_proposal)) await this.propose();
    this.prefetch(loaded);
  }

  saverOf(loaded) {
    return new Saver(this.api, loaded.work, (state, error) => {
      if (loaded !== this.current) return;
      if (state === "lost") this.lost(error);
      else panels.showSaved(state, error?.message);
    });
  }

  /** Fetches the next region while this one is worked on. */
  async prefetch(loaded) {
    if (this.ahead || this.cycle.standing.state !== "annotate") return;
    try {
      const description = await this.api.next(loaded.id, [...this.failed, loaded.id]);
      if (description.id === null) return;
      if (loaded !== this.current || this.ahead) return void this.api.release(description.id);
      const ready = this.prepare(description).catch(() => null);
      this.ahead = { id: description.id, cycle: description.cycle, loaded: ready };
    } catch {
      // there is time to ask again when it is needed
    }
  }

  /** A stroke was made. */
  changed() {
    this.current?.saver.changed();
  }

  /** Takes the region off the screen; the caller has seen to what was drawn. */
  leave() {
    sessionStorage.removeItem("current");
    this.current = null;
    this.screen.clear();
  }

  /** Fills what is not painted from the model's proposal, once for each region. */
  async propose() {
    const loaded = this.current;
    const { work, description } = loaded;
    try {
      const { pixels, probabilities } = await this.api.proposal(description.id);
      if (loaded !== this.current) return;
      if (probabilities) {
        loaded.probabilities = probabilities;
        work.proposal.shown = true;
        panels.showShares(probabilities);
      } else if (work.proposal.shown) {
        work.proposed = work.ordered(pixels); // to count what was changed
      } else if (this.screen.propose(pixels)) {
        this.changed();
      }
    } catch (error) {
      panels.say(error.message);
    }
  }

  /** The region is done: asks where pixels are not painted. */
  async done() {
    const { work } = this.current;
    const n = work.unpainted;
    if (n) {
      const share = ((100 * n) / (work.masks ? work.masks.reduce((a, b) => a + (b > 0), 0) : work.all.length));
      const text = `${n} pixels (${share < 1 ? "under 1" : Math.round(share)} %) are not painted. They count as “cannot tell”.`;
      const buttons = [["no", "Back"], ["yes", "Finish"]]; // prettier-ignore
      if ((await ask("Finish?", [el("p", {}, text)], buttons)) !== "yes") return;
    }
    await this.finish(async () => this.api.done(work, await work.body()));
  }

  /** A RoI has a class. */
  async classify(label) {
    if (this.inGrid) return this.classifyInGrid(label);
    const { work, probabilities } = this.current;
    const { seconds, tools, proposal } = work;
    if (probabilities) {
      const best = probabilities.indexOf(Math.max(...probabilities));
      proposal.changed = best === label ? 0 : 1;
    }
    panels.showClass(label);
    await this.finish(() => this.api.done(work, { label, seconds, tools, proposal }));
  }

  async skip() {
    const loaded = this.current;
    const reason = await askReason();
    if (reason === null || loaded !== this.current) return;
    const { work } = loaded;
    await this.finish(() => this.api.skip(work, { reason, seconds: work.seconds }));
  }

  /** Sends the end of a region; goes on when the server has it. */
  async finish(send) {
    const loaded = this.current;
    if (this.sending || !loaded) return;
    this.sending = true;
    $("stage").inert = true;
    let cycle = null;
    try {
      await loaded.saver.stop();
      cycle = await send();
      loaded.work.forget();
    } catch (error) {
      loaded.saver = this.saverOf(loaded);
      if (loaded.work.planes.length) loaded.saver.changed();
      const unreached = "The server does not answer. Nothing is lost; finish again in a moment.";
      if (!(error instanceof Refusal)) panels.say(unreached);
      else if (error.lost) this.lost(error);
      else panels.say(error.message, 0);
    } finally {
      this.sending = false;
      $("stage").inert = false;
    }
    if (!cycle) return;
    this.cycle = cycle;
    this.current = null;
    sessionStorage.removeItem("current");
    await this.proceed(loaded.id);
    this.showPanels();
    this.poll();
  }

  /** Opens a region of the list; the one at work is saved and given back. */
  async openRegion(id) {
    if (this.sending) return;
    if (this.current?.id === id && !this.inGrid) return;
    this.sending = true;
    const before = this.current;
    const ahead = this.ahead?.id === id ? this.ahead : null;
    try {
      const loaded =
        (await ahead?.loaded) || (await this.prepare(await this.api.open(id)));
      if (ahead) this.ahead = null;
      if (before && before.id !== id) {
        await before.saver.flush();
        await this.api.release(before.id);
      }
      await this.show(loaded);
    } catch (error) {
      panels.say(error instanceof Refusal ? error.message : "The server does not answer.");
    } finally {
      this.sending = false;
    }
    if (this.current) this.showGrid(false);
  }

  /** Somebody else has the region now. */
  async lost(error) {
    const loaded = this.current;
    if (!loaded || this.losing) return;
    this.losing = true;
    await loaded.saver.stop();
    if (loaded.work.planes.length) await loaded.work.keep(false);
    const text = `${error.message}\nWhat you drew is kept in this browser.`;
    const title = error.by ? `${error.by} has this region now` : "This region is not yours now";
    const buttons = [["again", "Try to get it back"], ["next", "Open another"]]; // prettier-ignore
    const answer = await ask(title, [el("p", {}, text)], buttons, { must: true });
    this.losing = false;
    if (loaded !== this.current) return;
    this.leave();
    if (answer === "again") await this.openRegion(loaded.id);
    else this.failed.add(loaded.id);
    if (!this.current) await this.proceed(loaded.id);
  }

  get inGrid() {
    return this.grid !== null && !$("grid").hidden;
  }

  showGrid(on) {
    if (!this.grid || on === this.inGrid) return;
    $("grid").hidden = !on;
    if (on) panels.hideNotice();
    if (on && this.current) this.grid.select(this.current.id);
  }

  /** Leaves the grid for a RoI. */
  async closeGrid(id = this.grid.selected) {
    if (id === null || this.current?.id === id) this.showGrid(false);
    else await this.openRegion(id);
  }

  /** Gives the RoI that is chosen in the grid a class. */
  async classifyInGrid(label) {
    const id = this.grid.selected;
    if (id === null || this.sending) return;
    this.sending = true;
    try {
      await this.api.open(id);
      const proposal = { shown: false, changed: null };
      const body = { label, seconds: this.gridSeconds, tools: { grid: 1 }, proposal };
      this.cycle = await this.api.done({ id, cycle: this.cycle.standing.cycle }, body);
      if (this.ahead?.id === id) this.ahead = null;
      if (this.current?.id === id) this.leave();
      this.showPanels();
      if (!this.grid.next()) this.showGrid(false);
    } catch (error) {
      panels.say(error instanceof Refusal ? error.message : "The server does not answer.");
    } finally {
      this.sending = false;
    }
    if (!this.inGrid && !this.current) await this.proceed(null);
  }
}
