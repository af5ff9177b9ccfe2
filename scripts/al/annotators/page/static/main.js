// Begins: the token of the address, the annotator's name, the run.

import { Api, Refusal, Unreached } from "./api.js";
import { Controls } from "./controls.js";
import { askName, fits } from "./dialogs.js";
import { Page } from "./page.js";
import * as panels from "./panels.js";
import { stored } from "./paint.js";

/** What tests ask the page. */
function expose(page) {
  const { screen } = page;
  window.annotator = {
    page,
    /** Place in the window of the centre of a pixel (row, column of the large plane). */
    toScreen: (row, column) => {
      const { x, y } = screen.viewer.toScreen(column + 0.5, row + 0.5);
      return [x, y];
    },
    /** The label map at work as it would be stored, planes along the slice axis first. */
    labels: () => [...stored(page.current.work.all)],
    /** What is at work, and how it stands. */
    state: () => ({
      id: page.current?.id ?? null,
      ready: Boolean(page.current) && !page.sending && !page.proceeding && !screen.viewer.frame,
      tool: screen.painter.tool,
      value: screen.painter.value,
      diameter: screen.painter.diameter,
      slice: screen.views?.volume ? screen.views.index : null,
      sharp: screen.viewer.scene?.tiles?.idle ?? true, // no tile is on its way
      saved: document.getElementById("saved").className,
      region: page.current?.work.planes.length ? page.current.work.region : null,
      ahead: page.ahead?.id ?? null,
      selected: page.inGrid ? page.grid.selected : null,
    }),
  };
}

async function begin() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token") || "";
  let name = localStorage.getItem("annotator") || "";
  while (!fits(name)) name = await askName("");
  localStorage.setItem("annotator", name);
  const api = new Api(token, name);
  try {
    const run = await api.run();
    const page = new Page(api, run);
    new Controls(page);
    expose(page);
    await page.start();
  } catch (error) {
    if (!(error instanceof Refusal) && !(error instanceof Unreached)) throw error;
    const text = error instanceof Refusal ? error.message : "Trying again …";
    panels.showNotice("The page cannot begin", text);
    if (!(error instanceof Refusal)) setTimeout(begin, 2000);
  }
}

addEventListener("hashchange", () => location.reload());
begin();
