// The grid of a cycle's RoIs: chosen by arrows, given a class by key.

import { css, el, swatch } from "./dom.js";

export class Grid {
  /** `hooks`: open(id) shows a RoI large, chosen(id) says which one keys mean now. */
  constructor(root, api, classes, hooks) {
    Object.assign(this, { root, api, classes, hooks, cards: new Map(), selected: null });
  }

  /** Draws what has changed of the cycle's RoIs. */
  show(regions, place) {
    if (this.place !== place) {
      this.place = place;
      this.cards.clear();
      this.root.replaceChildren();
    }
    for (const region of regions) this.update(region);
    const ids = new Set(regions.map((region) => region.id));
    for (const [id, card] of this.cards) {
      if (ids.has(id)) continue;
      card.remove();
      this.cards.delete(id);
    }
    if (!ids.has(this.selected)) this.select(regions.find((r) => r.state === "open")?.id ?? null);
  }

  update(region) {
    const { id, number, image, roi, state, label: given, by } = region;
    let card = this.cards.get(id);
    if (!card) {
      const open = () => this.hooks.open(id);
      const name = el("span", { class: "name" }, `${number} ${roi}`);
      const picture = el("img", { alt: "", draggable: "false" });
      const parts = [picture, name, el("span", { class: "word" })];
      const what = { type: "button", class: "card", title: `${image} / ${roi}` };
      card = el("button", { ...what, click: () => this.select(id), dblclick: open }, ...parts);
      this.cards.set(id, card);
      this.root.append(card);
      this.api.thumbnail(id).then(
        (url) => (card.firstChild.src = url),
        () => card.classList.add("missing"),
      );
    }
    const label = state === "done" && given !== null ? this.classes[given] : null;
    card.style.borderColor = label ? css(label.colour) : "";
    card.dataset.state = state;
    const said = label ? label.name : state === "busy" ? `busy: ${by}` : state;
    card.querySelector(".word").replaceChildren(...(label ? [swatch(label.colour)] : []), said);
  }

  select(id) {
    this.cards.get(this.selected)?.removeAttribute("aria-current");
    this.selected = id;
    const card = this.cards.get(id);
    if (card) {
      card.setAttribute("aria-current", "true");
      card.scrollIntoView({ block: "nearest" });
    }
    if (id !== null) this.hooks.chosen(id);
  }

  /** Goes to the next open RoI after the selected one, round the end. */
  next() {
    const ids = [...this.cards.keys()];
    const at = ids.indexOf(this.selected);
    const order = [...ids.slice(at + 1), ...ids.slice(0, at)];
    const open = (id) => ["open", "draft"].includes(this.cards.get(id).dataset.state);
    const id = order.find(open);
    if (id !== undefined) this.select(id);
    return id !== undefined;
  }

  /** Moves the selection by arrows. */
  move(dx, dy) {
    const ids = [...this.cards.keys()];
    if (!ids.length) return;
    const tops = ids.map((id) => this.cards.get(id).offsetTop);
    const columns = tops.filter((top) => top === tops[0]).length;
    const at = Math.max(ids.indexOf(this.selected), 0) + dx + dy * columns;
    if (at >= 0 && at < ids.length) this.select(ids[at]);
  }
}
