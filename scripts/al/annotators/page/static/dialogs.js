// What the page asks people.

import { ask, el } from "./dom.js";

const UNSEEN = /[\p{Cc}\p{Cf}]/u;

/** Whether a name or a reason is one. */
export const fits = (name) => name.trim() !== "" && !UNSEEN.test(name);

/** Asks for the name under which annotations are stored. */
export async function askName(before) {
  const field = el("input", { type: "text", maxlength: "60", "aria-label": "Your name" });
  field.value = before;
  const text = "It is stored with every region that you annotate, and colleagues see it.";
  const check = () => fits(field.value);
  const content = [el("p", {}, text), field];
  const answer = await ask("What is your name?", content, [["yes", "Begin"]], {
    must: before === "",
    check,
  });
  return answer ? field.value.trim() : before;
}

const REASONS = ["The image is spoilt", "Outside my competence", "It cannot be judged here"];

/** Asks why a region is skipped; null where it is not skipped after all. */
export async function askReason() {
  const field = el("input", {
    type: "text",
    maxlength: "500",
    "aria-label": "Reason",
    placeholder: "or in your own words",
  });
  const take = (reason) => {
    field.value = reason;
    field.closest("dialog").close("yes");
  };
  const presets = REASONS.map((reason, i) => {
    const click = () => take(reason);
    return el("button", { type: "button", click }, el("kbd", {}, String(i + 1)), reason);
  });
  field.addEventListener("keydown", (event) => {
    const reason = REASONS[Number(event.key) - 1];
    if (!reason || field.value !== "") return;
    event.preventDefault();
    take(reason);
  });
  const text = el("p", {}, "Why? The next best region takes its place.");
  const content = [text, el("div", { class: "stack" }, ...presets), field];
  const check = () => fits(field.value);
  const buttons = [["no", "Back"], ["yes", "Skip it"]]; // prettier-ignore
  return (await ask("Skip this region", content, buttons, { check })) === "yes"
    ? field.value.trim()
    : null;
}

/** Asks whether what this browser kept takes the place of what was drawn by another since. */
export async function askKept({ by }) {
  const since = `${by || "Someone"} has drawn what is on screen since this page saved last.`;
  const text = `${since}\nWhat you drew and could not be saved is kept in this browser.`;
  const buttons = [["mine", "Put mine in its place"], ["leave", "Leave it"]]; // prettier-ignore
  return (await ask("Another drawing of this region", [el("p", {}, text)], buttons)) === "mine";
}

/** Asks whether a region is done of which `n` of `all` pixels are not painted. */
export async function askFinish(n, all) {
  const percent = (100 * n) / all;
  const share = percent < 1 ? "under 1" : String(Math.round(percent));
  const pixels = n === 1 ? "1 pixel is" : `${n} pixels are`;
  const text = `${pixels} not painted (${share} %). What is not painted counts as “cannot tell”.`;
  // Where nothing is painted at all, a second Enter must not finish it.
  const buttons = [["no", "Back"], ["yes", "Finish"]]; // prettier-ignore
  if (n === all) buttons.reverse();
  return (await ask("Finish?", [el("p", {}, text)], buttons)) === "yes";
}

/** Says that a region is not this page's any more; resolves to whether to try to get it back. */
export async function askLost({ by, message }) {
  const title = by ? `${by} has this region now` : "This region is not yours now";
  const text = `${message}\nWhat you drew is kept in this browser.`;
  const buttons = [["again", "Try to get it back"], ["next", "Open another"]]; // prettier-ignore
  return (await ask(title, [el("p", {}, text)], buttons, { must: true })) === "again";
}
