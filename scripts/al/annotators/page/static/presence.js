// How page and server keep in touch: the cycle is looked at again and again, regions at work are
// kept from others, and the seconds at work are counted.

import { Refusal, Unreached } from "./api.js";
import * as panels from "./panels.js";

const POLL = 10000; // ms between looks at the cycle while a region is at work
const POLL_IDLE = 2000;
const BEAT = 20000; // ms between signs of life for a region
const ASLEEP = 300000; // ms without input after which a region is no longer kept from others
const ACTIVE = 30000; // ms after the last input that count as work

export class Presence {
  constructor(api) {
    // What is at work and what comes next: {id, cycle, ...} or null.
    Object.assign(this, { api, current: null, ahead: null });
    this.input = this.tick = Date.now();
  }

  /** Begins, with the first look at the cycle. */
  async start() {
    for (const type of ["pointerdown", "pointermove", "keydown", "wheel"]) {
      addEventListener(type, () => this.noteInput(), { capture: true, passive: true });
    }
    document.addEventListener("visibilitychange", () => !document.hidden && this.wake());
    addEventListener("focus", () => this.wake());
    addEventListener("pagehide", () => this.holding.forEach((id) => this.api.release(id)));
    setInterval(() => this.count(), 1000);
    setInterval(() => Date.now() - this.input < ASLEEP && this.beat(), BEAT);
    await this.poll();
  }

  /** Somebody is there. */
  noteInput() {
    const slept = Date.now() - this.input > ASLEEP;
    this.input = Date.now();
    if (slept) this.wake();
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
      if (error instanceof Unreached) this.unreached();
      else if (error instanceof Refusal) panels.say(error.message, error.status === 403 ? 0 : 8);
      else throw error;
    } finally {
      clearTimeout(this.timer);
      const work = this.current && this.cycle?.standing.state === "annotate";
      this.timer = setTimeout(() => this.poll(), work ? POLL : POLL_IDLE);
    }
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
        await this.api.beat(held.work || held);
      } catch (error) {
        if (!error.lost) continue;
        if (held === this.current) this.lost(error);
        else if (held === this.ahead) this.ahead = null;
      }
    }
  }
}
