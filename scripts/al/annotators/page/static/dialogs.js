// What the page asks people.

import { ask, el } from "./dom.js";

/** Asks for the name under which annotations are stored. */
export async function askName(before) {
  const field = el("input", { type: "text", maxlength: "60", "aria-label": "Your name" });
  field.value = before;
  const text = "It is stored with every region that you annotate, and colleagues see it.";
  const check = () => field.value.trim() !== "" && !/\p{Cc}/u.test(field.value);
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
  const presets = REASONS.map((reason, i) => {
    const take = () => {
      field.value = reason;
      field.focus();
    };
    return el("button", { type: "button", click: take }, el("kbd", {}, String(i + 1)), reason);
  });
  field.addEventListener("keydown", (event) => {
    const preset = REASONS[Number(event.key) - 1];
    if (!preset || field.value !== "") return;
    event.preventDefault();
    field.value = preset;
  });
  const text = el("p", {}, "Why? The next best region takes its place.");
  const content = [text, el("div", { class: "stack" }, ...presets), field];
  const check = () => field.value.trim() !== "";
  const buttons = [["no", "Back"], ["yes", "Skip it"]]; // prettier-ignore
  return (await ask("Skip this region", content, buttons, { check })) === "yes"
    ? field.value.trim()
    : null;
}

/** Asks whether a region is done of which `n` of `all` pixels are not painted. */
export async function askFinish(n, all) {
  const percent = (100 * n) / all;
  const share = percent < 1 ? "under 1" : String(Math.round(percent));
  const pixels = n === 1 ? "1 pixel is" : `${n} pixels are`;
  const text = `${pixels} not painted (${share} %). What is not painted counts as “cannot tell”.`;
  const buttons = [["no", "Back"], ["yes", "Finish"]]; // prettier-ignore
  return (await ask("Finish?", [el("p", {}, text)], buttons)) === "yes";
}

/** Says that a region is not this page's any more; resolves to whether to try to get it back. */
export async function askLost({ by, message }) {
  const title = by ? `${by} has this region now` : "This region is not yours now";
  const text = `${message}\nWhat you drew is kept in this browser.`;
  const buttons = [["again", "Try to get it back"], ["next", "Open another"]]; // prettier-ignore
  return (await ask(title, [el("p", {}, text)], buttons, { must: true })) === "again";
}
