// What stands around the picture: the bar, palette and tools, the list of regions.

import { el, swatch } from "./dom.js";
import { keyOfClass, TABLE } from "./keys.js";
import { VOID } from "./paint.js";

const $ = (id) => document.getElementById(id);
const STATES = {
  open: ["○", "open"],
  draft: ["✎", "begun"],
  busy: ["◐", "busy"],
  done: ["✓", "done"],
  skipped: ["⤼", "skipped"],
};

/** The palette; `choose(value)` is called with a class, or VOID. */
export function palette(classes, task, choose) {
  const entries = classes.map(({ name, colour }, i) => [i, name, colour, keyOfClass(i)]);
  if (task !== "roi") entries.push([VOID, "cannot tell", null, "V"]);
  const buttons = entries.map(([value, name, colour, key]) => {
    const share = el("span", { class: "share" });
    const text = el("span", { class: "name", title: name }, name);
    const keys = el("kbd", {}, key);
    const listen = { type: "button", "aria-pressed": "false", click: () => choose(value) };
    return el("button", { ...listen, "data-value": value }, swatch(colour), text, share, keys);
  });
  $("palette").replaceChildren(...buttons);
}

/** Marks the class that is painted (null: none). */
export function showClass(value) {
  for (const button of $("palette").children) {
    const on = Number(button.dataset.value) === value && value !== null;
    if (on && button.getAttribute("aria-pressed") !== "true") {
      button.scrollIntoView({ block: "nearest" });
    }
    button.setAttribute("aria-pressed", on);
  }
}

/** Shows a probability beside each class (null: none). */
export function showShares(probabilities) {
  for (const button of $("palette").children) {
    const share = probabilities?.[Number(button.dataset.value)];
    button.querySelector(".share").textContent =
      share === undefined ? "" : `${Math.round(100 * share)} %`;
  }
}

/** Marks the tool, and says its sizes. */
export function showTool({ tool, diameter, tolerance }) {
  for (const button of document.querySelectorAll("#tools [data-tool]")) {
    button.setAttribute("aria-pressed", button.dataset.tool === tool);
  }
  $("size").value = diameter;
  $("size-said").textContent = `${diameter} px`;
  $("tolerance").value = tolerance;
  $("tolerance-said").textContent = String(tolerance);
}

function minutes(value) {
  if (value === null || value === undefined) return "";
  const rounded = Math.max(1, Math.round(value));
  return rounded === 1 ? "1 minute left" : `${rounded} minutes left`;
}

/** The bar: run, cycle, progress and who is at work. */
export function showProgress(run, cycle, me) {
  const { standing, done, total, seconds_median: median, annotators } = cycle;
  $("run").textContent = run.run;
  $("cycle").textContent = `cycle ${standing.cycle} of ${standing.cycles}`;
  $("bar").max = Math.max(total, 1);
  $("bar").value = done;
  const said = total ? [`${done} of ${total}`] : [];
  if (total && median !== null) said.push(`median ${Math.round(median)} s`);
  if (done < total) said.push(minutes(cycle.minutes_left));
  $("progress").textContent = said.filter(Boolean).join(", ");
  const others = annotators.filter((name) => name !== me);
  $("others").textContent = others.length ? `also at work: ${others.join(", ")}` : "";
  $("me").textContent = me;
}

/** The list of the cycle's regions. */
export function showList(regions, classes, current, me, open) {
  const list = $("list");
  // Nothing is drawn anew under a pointer that is about to click.
  const told = JSON.stringify([regions, current, me]);
  if (list.told === told) return;
  list.told = told;
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.id : null;
  const several = new Set(regions.map(({ cycle }) => cycle)).size > 1;
  const items = regions.map((region) => {
    const { id, number, state, by, label: given, corrected } = region;
    const [sign, plain] = STATES[state];
    const word = corrected && state === "done" ? "corrected" : plain;
    const tab = state === "busy" ? " in another tab" : "";
    const who = by && state !== "open" ? (by === me ? tab : ` by ${by}`) : "";
    const mine = id === current;
    const label = given !== null && state === "done" ? classes[given] : null;
    const more = word === "corrected" ? ", corrected" : "";
    const text = who || more || state === "skipped" ? word + who : ""; // else the sign says it
    const said = mine ? "at work" : label ? label.name + more : text;
    const title = region.roi ? `${region.image} / ${region.roi}` : region.image;
    return el(
      "button",
      {
        type: "button",
        class: `state-${state}`,
        "data-id": id,
        "aria-current": mine ? "true" : null,
        title: `${title}: ${mine ? "at work" : word + who}`,
        click: (event) => {
          event.currentTarget.blur(); // keys are the region's from here on
          open(id);
        },
      },
      el("span", { class: "sign", "aria-hidden": "true" }, mine ? "▶" : sign),
      el("span", { class: "what" }, el("b", {}, String(number)), ` ${region.roi || region.image}`),
      el("span", { class: "word" }, label ? swatch(label.colour) : "", said),
    );
  });
  const nodes = regions.flatMap(({ cycle }, i) => {
    const first = several && cycle !== regions[i - 1]?.cycle;
    return first ? [el("h3", {}, `Cycle ${cycle}`), items[i]] : [items[i]];
  });
  list.replaceChildren(...nodes);
  if (focused !== null) list.querySelector(`[data-id="${focused}"]`)?.focus();
  const now = list.querySelector("[aria-current]");
  if (now && list.dataset.current !== String(current)) {
    list.dataset.current = current;
    now.scrollIntoView({ block: "nearest" });
  }
}

/** Says how saving goes: "saved", "saving", "failed". */
export function showSaved(state, message = "") {
  const words = { saved: "✓ saved", saving: "… saving", failed: "⚠ not saved, trying again" };
  const node = $("saved");
  node.className = state || "";
  node.title = message;
  const text = words[state] || "";
  if (node.textContent !== text) node.textContent = text;
}

/** A line under the picture: where the pointer is, and what is painted there. */
export function showPlace(text, colour = null) {
  $("place").replaceChildren(...(colour === undefined ? [] : colour ? [swatch(colour)] : []), text);
}

/** Covers the picture with a message: title, text, how far (0 to 1, null: unknown), buttons. */
export function showNotice(title, text = "", fraction = undefined, buttons = []) {
  const notice = $("notice");
  // Nothing is drawn anew under a pointer, or takes the focus from a button.
  const told = [title, text, fraction, ...buttons.flat()];
  const same = (value, i) => value === notice.told[i];
  if (!notice.hidden && notice.told?.length === told.length && told.every(same)) return;
  notice.told = told;
  const children = [el("h2", {}, title), el("p", {}, text)];
  if (fraction !== undefined) {
    children.push(el("progress", { max: "1", value: fraction, "aria-label": "how far" }));
  }
  const row = buttons.map(([words, click]) => el("button", { type: "button", click }, words));
  notice.replaceChildren(...children, el("div", { class: "row" }, ...row));
  notice.hidden = false;
}

export function hideNotice() {
  $("notice").hidden = true;
}

/**
 * Says what is waited for when no region is at work; `failed`: regions that cannot be shown;
 * `again` is called to try once more what failed.
 */
export function showStanding({ standing, regions, total, done }, failed, me, again) {
  const { state, text, message, fraction, cycle } = standing;
  if (state === "training") {
    const said = `${text || ""}\nThe next regions appear here by themselves.`;
    const what = cycle ? `Cycle ${cycle}: the model learns from what was annotated` : "Starting";
    showNotice(what, said, fraction);
  } else if (state === "failed") {
    showNotice("The training failed", message || text || "", undefined, [["Try again", again]]);
  } else if (state === "finished") {
    const [, what, more] = /^(.*?)(?:\. (.*))?$/s.exec(text || "Nothing more to annotate");
    showNotice(what, more || "");
  } else if (text === "review") {
    const said = "A region of the list opens as it was finished. What you change is kept beside it.";
    showNotice("Corrections", said);
  } else if (done >= total) {
    showNotice("This cycle is annotated", text || "");
  } else {
    const busy = regions.filter((region) => region.state === "busy");
    const mine = "another tab of yours, or one that was closed a minute ago";
    const names = [...new Set(busy.map(({ by }) => (by === me ? mine : by)))].join(", ");
    const unseen = regions.filter((r) => failed.has(r.id) && r.state !== "done").length;
    const said = [];
    if (busy.length) said.push(`Still at work: ${names} (${busy.length}).`);
    if (unseen) said.push(`Not shown here: ${unseen}; the list opens them.`);
    showNotice("Nothing is left for you", said.join("\n"));
  }
}

/** A message in a line of its own that goes by itself, or when it is clicked on. */
export function say(text, seconds = 8) {
  const same = [...$("messages").children].find((node) => node.textContent === text);
  if (same) return same;
  const line = el("button", { type: "button", click: () => line.remove() }, text);
  line.brief = seconds > 0;
  $("messages").append(line);
  if (seconds) setTimeout(() => line.remove(), 1000 * seconds);
  return line;
}

/** Takes away what would go by itself: another region is on screen. */
export function hush() {
  for (const line of [...$("messages").children]) if (line.brief) line.remove();
}

/** The switch of the model's proposal: without one it says so. */
export function showSwitch({ has_proposal: possible, cycle }) {
  $("proposal").disabled = !possible;
  const none = cycle === 1 ? "no model yet" : "no proposal here";
  $("proposal-said").textContent = possible ? "model’s proposal" : none;
}

/** The help: all keys of a task. */
export function helpOf(task, classes) {
  const last = Math.min(classes.length, 20);
  const digits = last > 10 ? "1 … 0, Shift+1 …" : "1 … 9, 0";
  const picks = [digits, task === "roi" ? "this class, and the next RoI" : "class to paint"];
  const rows = TABLE.filter((row) => row[3] && row[5].includes(task));
  const all = [picks, ...rows.map((row) => [row[3], row[4]])];
  return el(
    "div",
    { class: "help" },
    ...all.map(([keys, what]) => el("div", {}, el("kbd", {}, keys), el("span", {}, what))),
  );
}
