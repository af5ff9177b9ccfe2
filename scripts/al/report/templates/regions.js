// Chosen regions on pictures, with a choice of budget, picture, strategy and cycle.
"use strict";
report.start("regions", (data, part) => {
  const plot = part("plot");
  const WHITE = "rgb(255,255,255)";
  const budget = () => data.budgets[Number(part("budget").value)];
  const picture = () => budget().pictures[Number(part("picture").value)];
  const strategy = () => budget().strategies[Number(part("strategy").value)];
  const upTo = () => Number(part("cycle").value);
  const cls = (box) => data.classes[box.cls] || { name: "–", html: "none", colour: WHITE };
  let width = plot.clientWidth;
  let timer = null;

  function boxes() {
    const own = Number(part("strategy").value);
    return picture()
      .boxes.filter((box) => box[0] === own && box[1] <= upTo())
      .map(([, cycle, order, cls, top, left, height, width, kind]) => (
        { cycle, order, cls, top, left, height, width, kind }
      ))
      .sort((a, b) => a.cycle - b.cycle || a.order - b.order);
  }

  // A dark line under all boxes, so that each is seen on any picture.
  function shapes(shown) {
    if (!shown.length) return [];
    const under = { type: "path", path: outline(shown), line: { color: "#000000", width: 4 } };
    return [under, ...shown.map((box) => ({
      type: "rect",
      x0: box.left,
      x1: box.left + box.width,
      y0: box.top,
      y1: box.top + box.height,
      line: { color: cls(box).colour, width: 2, dash: box.cycle === 1 ? "dash" : "solid" },
    }))];
  }

  function outline(shown) {
    return shown
      .map((b) => {
        const right = b.left + b.width;
        const bottom = b.top + b.height;
        return `M${b.left},${b.top}L${right},${b.top}L${right},${bottom}L${b.left},${bottom}Z`;
      })
      .join("");
  }

  function centres(shown) {
    return {
      type: "scatter",
      mode: "markers",
      x: shown.map((box) => box.left + box.width / 2),
      y: shown.map((box) => box.top + box.height / 2),
      text: shown.map((box) => (
        `cycle ${box.cycle}, choice ${box.order}<br>class: ${cls(box).html}<br>${strategy().html}`
      )),
      hovertemplate: "%{text}<extra></extra>",
      hoverlabel: { bgcolor: shown.map((box) => cls(box).colour) },
      marker: {
        size: 5,
        color: shown.map((box) => cls(box).colour),
        line: { color: "#000000", width: 1 },
      },
      showlegend: false,
    };
  }

  function layout(shown) {
    const { width: wide, height: high, image } = picture();
    const height = Math.min(680, (width * high) / wide);
    const axis = { visible: false, constrain: "domain" };
    return {
      width,
      height: Math.max(160, height),
      margin: { l: 0, r: 0, t: 0, b: 0 },
      font: report.font,
      hovermode: "closest",
      hoverdistance: 40,
      dragmode: report.drag,
      xaxis: { ...axis, range: [0, wide] },
      yaxis: { ...axis, range: [high, 0], scaleanchor: "x" },
      images: [{
        source: data.images[image],
        xref: "x",
        yref: "y",
        x: 0,
        y: 0,
        sizex: wide,
        sizey: high,
        sizing: "stretch",
        layer: "below",
      }],
      shapes: shapes(shown),
      plot_bgcolor: "#ffffff",
      paper_bgcolor: "#ffffff",
      uirevision: `${part("budget").value}|${part("picture").value}`,
    };
  }

  function tabulate(shown) {
    part("rows").replaceChildren(...shown.map((box) => {
      const row = document.createElement("tr");
      const cells = [String(box.cycle), cls(box).name, String(box.order)].map((words) => {
        const cell = document.createElement("td");
        cell.textContent = words;
        return cell;
      });
      cells[0].className = cells[2].className = "number";
      cells[1].prepend(report.swatch(cls(box).colour), " ");
      row.append(...cells);
      return row;
    }));
  }

  function draw(newWidth) {
    width = newWidth || width;
    const shown = boxes();
    part("upto").textContent = part("cycle").value;
    const regions = `${shown.length} region${shown.length === 1 ? "" : "s"}`;
    const name = strategy() ? strategy().name : "no strategy";
    part("count").textContent = `${name}: ${regions} on this picture up to cycle ${upTo()}.`;
    tabulate(shown);
    return Plotly.react(plot, [centres(shown)], layout(shown), report.config);
  }

  // What was chosen stays chosen, by its name, where the new list has it.
  function fill(select, names) {
    const before = select.selectedOptions[0]?.textContent;
    select.replaceChildren(...names.map((name, i) => new Option(name, String(i))));
    select.value = String(Math.max(0, names.indexOf(before)));
  }

  function changeBudget() {
    fill(part("picture"), budget().pictures.map((held) => held.title));
    fill(part("strategy"), budget().strategies.map((held) => held.name));
    part("cycle").max = String(data.cycles);
    part("cycle").value = part("cycle").max;
    draw();
  }

  function play() {
    const playing = timer !== null;
    stop();
    if (playing) return;
    part("cycle").value = "1";
    part("play").textContent = "Pause";
    draw();
    timer = setInterval(() => {
      part("cycle").stepUp();
      draw();
      if (upTo() >= data.cycles) stop();
    }, 900);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    part("play").textContent = "Play";
  }

  part("budget").addEventListener("change", () => { stop(); changeBudget(); });
  part("picture").addEventListener("change", () => draw());
  part("strategy").addEventListener("change", () => draw());
  part("cycle").addEventListener("input", () => { stop(); draw(); });
  part("play").addEventListener("click", play);
  changeBudget();
  report.onWidth(plot, draw);
});
