// Score against cost, with a choice of cost, budget and strategies.
"use strict";
report.start("curve", (data, part) => {
  const plot = part("plot");
  const hidden = new Set(); // strategies and references, by name
  const budget = () => data.budgets[Number(part("budget").value)];
  const nameOf = (trace) => trace.meta.strategy;
  const entries = () => budget().traces.filter((trace) => trace.showlegend);
  let width = plot.clientWidth;

  function traces() {
    const cost = data.costs.find((held) => held.key === part("cost").value);
    const spread = part("spread").checked;
    return budget().traces.map((trace, i) => {
      const extra = ["seeds", "band"].includes(trace.meta.role);
      const shown = hidden.has(nameOf(trace)) ? "legendonly" : !extra || spread;
      const made = { ...trace, x: budget().x[cost.key][i], visible: shown };
      if (trace.hovertemplate) {
        // as a function: "$" in a name is no reference to a group
        made.hovertemplate = trace.hovertemplate.replace("{cost}", () => cost.label);
      }
      return made;
    });
  }

  function layout() {
    const cost = data.costs.find((held) => held.key === part("cost").value);
    const count = entries().length;
    const words = 6.6 * Math.max(...entries().map((trace) => trace.name.length));
    const narrow = width < 720 || words + 60 > 0.45 * width; // the legend goes below, in columns
    const columns = Math.max(1, Math.floor((width - 68) / (words + 60)));
    const below = 24 + 20 * Math.ceil(count / columns);
    const axis = { gridcolor: "#dddddd", linecolor: "#222222", ticks: "outside", zeroline: false };
    return {
      width,
      height: narrow ? 430 + below : Math.max(480, 90 + 20 * count),
      margin: { l: 60, r: 12, t: 16, b: narrow ? 60 + below : 56 },
      font: report.font,
      hovermode: "closest",
      dragmode: report.drag,
      legend: narrow
        ? {
            orientation: "h",
            x: 0,
            y: 0,
            yref: "container",
            yanchor: "bottom",
            entrywidth: words,
            maxheight: below,
            font: { size: 12 },
          }
        : { x: 1.02, y: 1, font: { size: 12 } },
      xaxis: { ...axis, title: { text: cost.label }, automargin: true },
      yaxis: { ...axis, title: { text: budget().score }, automargin: true },
      plot_bgcolor: "#ffffff",
      paper_bgcolor: "#ffffff",
      // zoom is kept as long as the axes mean the same
      uirevision: `${part("cost").value}|${part("budget").value}`,
    };
  }

  function draw(newWidth) {
    width = newWidth || width;
    const lacking = budget().lacking[part("cost").value] || "";
    part("hint").textContent = [budget().hint, lacking].filter(Boolean).join(" ");
    return Plotly.react(plot, traces(), layout(), report.config);
  }

  function list() {
    const box = part("strategies");
    box.querySelectorAll("label").forEach((label) => label.remove());
    for (const trace of entries()) {
      const name = nameOf(trace);
      const label = document.createElement("label");
      const tick = document.createElement("input");
      tick.type = "checkbox";
      tick.checked = !hidden.has(name);
      tick.addEventListener("change", () => toggle(name));
      const words = trace.meta.role === "reference" ? trace.name : name;
      label.append(tick, report.swatch(trace.line.color), words);
      box.append(label);
    }
  }

  function toggle(name) {
    if (!hidden.delete(name)) hidden.add(name);
    part("strategies")
      .querySelectorAll("input")
      .forEach((tick, i) => (tick.checked = !hidden.has(nameOf(entries()[i]))));
    draw();
  }

  function alone(name) {
    const others = entries().map(nameOf).filter((other) => other !== name);
    const already = !hidden.has(name) && others.every((other) => hidden.has(other));
    hidden.clear();
    if (!already) others.forEach((other) => hidden.add(other));
    list();
    draw();
  }

  function change() {
    part("spread").checked = budget().spread;
    list();
    draw();
  }

  part("cost").addEventListener("change", () => draw());
  part("spread").addEventListener("change", () => draw());
  part("budget").addEventListener("change", change);
  change();
  plot.on("plotly_legendclick", (event) => {
    toggle(nameOf(event.data[event.curveNumber]));
    return false;
  });
  plot.on("plotly_legenddoubleclick", (event) => {
    alone(nameOf(event.data[event.curveNumber]));
    return false;
  });
  report.onWidth(plot, draw);
});
