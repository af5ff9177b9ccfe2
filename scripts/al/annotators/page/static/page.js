// The way through a cycle: which region is at work, who holds it, and what comes next.

import { Refusal, Unreached } from "./api.js";
import { askFinish, askKept, askLost, askReason } from "./dialogs.js";
import * as panels from "./panels.js";
import { load } from "./pictures.js";
import { Presence } from "./presence.js";
import { Grid } from "./rois.js";
import { Screen } from "./screen.js";
import { forgetSaved, Saver } from "./work.js";

const $ = (id) => document.getElementById(id);

const SLOW = 700; // ms after which it is said that a region is being opened

export class Page extends Presence {
  constructor(api, run) {
    super(api);
    Object.assign(this, { run, task: run.task, classes: run.classes });
    Object.assign(this, { cycle: null, sending: false, grid: null });
    this.proposing = false; // the switch: proposals are shown
    this.before = sessionStorage.getItem("current"); // at work before the page was loaded anew
    this.failed = new Set(); // regions that could not be shown
    this.stuck = false; // a notice asks what to do about one
    this.screen = new Screen(run, () => this.changed());
    if (this.task === "roi") {
      const chosen = () => (this.gridSeconds = 0);
      const open = (id) => this.closeGrid(id);
      this.grid = new Grid($("grid"), api, this.classes, { open, chosen });
    }
  }

  /** Takes up what the server says of the cycle. */
  async take(cycle) {
    const other = this.cycle?.standing.cycle !== cycle.standing.cycle;
    this.cycle = cycle;
    if (other) {
      Object.assign(this, { ahead: null, failed: new Set(), stuck: false });
      forgetSaved(this.run.run, this.place);
    }
    this.showPanels();
    if (cycle.standing.state !== "annotate") this.showGrid(false);
    const held = this.current;
    if (held && cycle.standing.state === "annotate" && cycle.standing.cycle !== held.cycle) {
      await held.saver.stop();
      this.leave();
      panels.say("Another cycle has begun. What was drawn and not finished is kept.", 0);
    }
    const free = !this.current && !this.sending && !this.stuck;
    if (free && !this.inGrid) await this.proceed(null);
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
    const { viewer } = this.screen;
    const loaded = await load(this.api, description, this.place, viewer, this.current);
    return { ...loaded, id: description.id, cycle: description.cycle };
  }

  /** Shows the next region, or says why there is none. */
  async proceed(after) {
    if (this.proceeding) return;
    this.proceeding = true;
    this.stuck = false;
    let id = null;
    const opening = () => panels.showNotice("Opening the image", "A large one takes a while.");
    const slow = setTimeout(opening, SLOW);
    try {
      let loaded = await this.ahead?.loaded;
      const left = this.ahead;
      this.ahead = null;
      if (loaded && loaded.cycle !== this.cycle.standing.cycle) loaded = null;
      if (left && !loaded) await this.api.release(left.id);
      if (!loaded) {
        const description = await this.describeNext(after);
        id = description?.id ?? null;
        if (id === null) {
          this.screen.clear();
          panels.showStanding(this.cycle, this.failed, this.api.annotator, this.again);
          return;
        }
        loaded = await this.prepare(description);
      }
      clearTimeout(slow);
      await this.show(loaded);
    } catch (error) {
      clearTimeout(slow);
      if (error instanceof Unreached) this.unreached();
      else if (error instanceof Refusal) this.unshown(id ?? error.id, error);
      else throw error;
    } finally {
      clearTimeout(slow);
      this.proceeding = false;
    }
  }

  /** Has the run go on once more after a failure. */
  again = async () => {
    try {
      await this.take(await this.api.again());
    } catch (error) {
      panels.say(error.message, 0);
    }
  };

  /** The description of the next region, which is held from then on; null where there is none. */
  async describeNext(after) {
    if (this.cycle.standing.state !== "annotate") return null;
    const last = this.cycle.regions.find((r) => `${this.place} ${r.id}` === this.before);
    this.before = null;
    if (last && last.state !== "done") {
      const opened = await this.api.open(last.id).catch(() => null);
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
      const region = { id, cycle: this.cycle.standing.cycle };
      await this.api.skip(region, { reason, seconds: 0 }).catch((e) => panels.say(e.message));
      this.stuck = false;
      this.poll();
    };
    this.stuck = true;
    const buttons = [["Try again", () => this.proceed(null)]]; // prettier-ignore
    if (id !== null) buttons.push(["Another region", next], ["Skip it", skip]);
    panels.showNotice("This region cannot be shown", error.message, undefined, buttons);
  }

  /** Puts a region on screen. */
  async show(loaded) {
    const { work, description } = loaded;
    this.current = loaded;
    this.failed.delete(loaded.id);
    sessionStorage.setItem("current", `${this.place} ${loaded.id}`);
    panels.hideNotice();
    panels.hush();
    panels.showSwitch(description);
    loaded.saver = this.saverOf(loaded);
    await this.screen.show(loaded);
    panels.showSaved("");
    const kept = work.planes.length ? work.kept() : null;
    if (kept && (!kept.another || (await askKept(description))) && loaded === this.current) {
      this.screen.redrawn(() => work.replace(kept.labels));
      panels.say("Strokes that had not reached the server are back. Undo takes them away.");
      loaded.saver.changed();
    }
    this.showPanels();
    const wanted = this.proposing && description.has_proposal && description.state !== "done";
    if (work.proposal.shown || wanted) await this.propose();
    this.prefetch(loaded);
  }

  saverOf(loaded) {
    return new Saver(this.api, loaded.work, (state, error) => {
      if (loaded !== this.current) return;
      if (state === "lost") return this.lost(error);
      panels.showSaved(state, error?.message);
      if (error instanceof Refusal) panels.say(error.message, 0);
    });
  }

  /** Fetches the next region while this one is worked on. */
  async prefetch(loaded) {
    if (this.ahead || this.cycle.standing.state !== "annotate") return;
    try {
      const description = await this.api.next(loaded.id, [...this.failed, loaded.id]);
      if (description.id === null) return;
      if (loaded !== this.current || this.ahead) {
        if (!this.holding.includes(description.id)) this.api.release(description.id);
        return;
      }
      const ready = this.prepare(description).catch(() => null);
      const { id, cycle, draft } = description;
      this.ahead = { id, cycle, draft, loaded: ready };
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
      } else if (work.proposal.shown && !work.withdrawn) {
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
    const loaded = this.current;
    const { work } = loaded;
    const n = work.unpainted;
    if (n && !(await askFinish(n, work.size))) return;
    if (loaded === this.current) {
      await this.finish(async () => this.api.done(work, await work.body()));
    }
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
      if (error.lost) this.lost(error);
      else if (error instanceof Unreached) panels.say(`${error.message} Nothing is lost.`);
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
    if (this.sending || this.proceeding) return;
    if (this.current?.id === id && !this.inGrid) return;
    this.sending = true;
    const before = this.current;
    const ahead = this.ahead?.id === id ? this.ahead : null;
    try {
      const loaded = (await ahead?.loaded) || (await this.prepare(await this.api.open(id)));
      if (ahead) this.ahead = null;
      if (before && before.id !== id) {
        await before.saver.flush();
        await this.api.release(before.id);
      }
      await this.show(loaded);
    } catch (error) {
      panels.say(error.message);
    } finally {
      this.sending = false;
    }
    if (this.current) this.showGrid(false);
  }

  /** Somebody else has the region now, or has drawn in it (that is shown, beside what is kept). */
  async lost(error) {
    const loaded = this.current;
    if (!loaded || this.losing) return;
    this.losing = true;
    await loaded.saver.stop();
    if (loaded.work.planes.length) await loaded.work.keep(false);
    const again = error.reason === "drawn" || (await askLost(error));
    this.losing = false;
    if (loaded !== this.current) return;
    this.leave();
    if (again) await this.openRegion(loaded.id);
    else {
      this.failed.add(loaded.id);
      await this.api.release(loaded.id);
    }
    if (!this.current) await this.proceed(loaded.id);
  }

  get inGrid() {
    return this.grid !== null && !$("grid").hidden;
  }

  showGrid(on) {
    if (!this.grid || on === this.inGrid) return;
    $("grid").hidden = !on;
    $("title").hidden = on; // of the RoI that is large
    $("skip").disabled = on || !this.current;
    panels.showShares((!on && this.current?.probabilities) || null);
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
      panels.say(error.message);
    } finally {
      this.sending = false;
    }
    if (!this.inGrid && !this.current) await this.proceed(null);
  }
}
