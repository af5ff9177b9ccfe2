// Draws the charts to explore, and opens what is folded for printing.
"use strict";
const FONT = '"Liberation Sans", Arial, Helvetica, sans-serif';
for (const plot of document.querySelectorAll(".plot")) {
  const chart = JSON.parse(document.getElementById(plot.dataset.chart).textContent);
  chart.config = { ...chart.config, font: FONT };
  if (plot.clientWidth < 700) {
    chart.config.legend = { ...chart.config.legend, orient: "bottom", direction: "vertical" };
  }
  // "ast": expressions are interpreted, as the page allows no code made from text.
  const actions = { export: true, source: false, compiled: false, editor: false };
  const options = { actions, ast: true, renderer: "svg", logLevel: 1 }; // errors alone
  vegaEmbed(plot, chart, options).then(() => plot.classList.add("drawn"));
}
window.addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details:not([open], .plot details)")) {
    part.open = true;
    part.dataset.printed = "";
  }
});
window.addEventListener("afterprint", () => {
  for (const part of document.querySelectorAll("details[data-printed]")) {
    part.open = false;
    delete part.dataset.printed;
  }
});
