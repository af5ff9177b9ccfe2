// Elements, and dialogs made of them. Data become text, never markup.

/** An element: attributes (functions are listeners), then children (elements or text). */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** Whether a colour cannot be told from a dark image: what is painted in it has dots. */
export const isDark = ([r, g, b]) => r + g + b < 96;

/** CSS of a colour [r, g, b]. */
export const css = (colour) => `rgb(${colour.join(" ")})`;

/** A sample of a colour; style attributes of markup are refused by the page's policy. */
export function swatch(colour) {
  const node = el("span", { class: "swatch", "aria-hidden": "true" });
  if (colour && isDark(colour)) node.classList.add("dark");
  if (colour) node.style.backgroundColor = css(colour);
  else node.classList.add("void");
  return node;
}

/**
 * Asks something; resolves to the value of the button that was chosen, or null (Escape).
 * `buttons`: [value, text] each, the last one is what Enter means; `check`: whether it may be.
 */
export function ask(title, content, buttons, { must = false, check = () => true } = {}) {
  return new Promise((resolve) => {
    const main = buttons.at(-1)[0];
    const choose = (value) => {
      if (value === main && !check()) return;
      dialog.close(value);
    };
    const row = buttons.map(([value, text]) => {
      const kind = value === main ? "main" : null;
      return el("button", { type: "button", class: kind, click: () => choose(value) }, text);
    });
    const end = el("div", { class: "row end" }, ...row);
    const dialog = el("dialog", { "aria-label": title }, el("h2", {}, title), ...content, end);
    dialog.addEventListener("cancel", (event) => must && event.preventDefault());
    dialog.addEventListener("keydown", (event) => {
      event.stopPropagation(); // keys mean nothing to the page behind
      if (event.key !== "Enter" || !event.target.matches("input")) return;
      event.preventDefault(); // or it presses what has the focus when the dialog is closed
      choose(main);
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      document.activeElement?.blur(); // keys mean the page again, not the button that asked
      resolve(dialog.returnValue || null);
    });
    document.body.append(dialog);
    dialog.showModal();
    (dialog.querySelector("input") || row.at(-1)).focus();
  });
}
