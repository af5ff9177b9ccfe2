// What the interactive parts share.
"use strict";
const report = {
  // The chart itself reaches for no server: no logo, no upload, no map outlines.
  config: {
    displaylogo: false,
    responsive: true,
    showSendToCloud: false,
    plotlyServerURL: "",
    topojsonURL: "none",
    typesetMath: false,
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
  },
  font: { family: 'system-ui, "Liberation Sans", Arial, sans-serif', size: 13, color: "#222222" },
  // A finger that scrolls the page is not to zoom.
  drag: window.matchMedia("(pointer: coarse)").matches ? false : "zoom",

  start(kind, build) {
    document.addEventListener("DOMContentLoaded", () => {
      for (const root of document.querySelectorAll(`[data-widget="${kind}"]`)) {
        const part = (name) => document.getElementById(`${root.id}-${name}`);
        build(JSON.parse(part("data").textContent), part);
      }
    });
  },

  // Redraws when the width changes, and as wide as a sheet for printing.
  onWidth(plot, draw) {
    let width = 0;
    new ResizeObserver(() => {
      if (Math.abs(plot.clientWidth - width) > 1) {
        width = plot.clientWidth;
        if (width > 0) draw(width);
      }
    }).observe(plot);
    window.addEventListener("beforeprint", () => draw(660));
    window.addEventListener("afterprint", () => draw(plot.clientWidth));
  },

  swatch(colour) {
    const mark = document.createElement("span");
    mark.className = "swatch";
    mark.style.background = colour;
    return mark;
  },
};

// Lists are closed on the screen and open on paper.
window.addEventListener("beforeprint", () => {
  for (const list of document.querySelectorAll(".banner details:not([open])")) {
    list.open = true;
    list.dataset.printed = "";
  }
});
window.addEventListener("afterprint", () => {
  for (const list of document.querySelectorAll("details[data-printed]")) {
    list.open = false;
    delete list.dataset.printed;
  }
});
