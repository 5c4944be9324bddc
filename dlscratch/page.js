"use strict";

const { groups, splits, curves, names, slices, start } = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("view");
const AXES = { step: "step", epoch: "epoch", examples: "examples", seconds: "seconds of training" };
const SIGNS = {
  circle: "●", square: "■", "triangle-up": "▲", diamond: "◆", "triangle-down": "▼",
  "triangle-left": "◀", "triangle-right": "▶", cross: "✚",
};

// Plotly reads tags and entities in every text: a name is shown as it is.
const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/%/g, "&#37;");

// What a line shows under the pointer, whatever the axis.
function hover(line, quantity, view) {
  const rows = line.y.map((_, i) => [line.x.step[i], line.x.epoch[i], line.low?.[i], line.high?.[i], line.n?.[i]]);
  const band = line.low && view.band ? "<br>band %{customdata[2]:.4f} to %{customdata[3]:.4f}" : "";
  const count = line.n ? ", n = %{customdata[4]}" : "";
  return {
    customdata: rows,
    hovertemplate:
      `<b>${plain(line.name)}</b><br>${splits[line.split]} ${quantity} %{y:.4f}${band}` +
      `<br>epoch %{customdata[1]:.4~f}, step %{customdata[0]:,d}${count}<extra></extra>`,
  };
}

function band(line, x, colour, scale) {
  const lowest = scale === "log" ? 0 : -Infinity; // a logarithm knows nothing below 0
  const rows = [...line.low.keys()].filter((i) => line.low[i] !== null && line.low[i] > lowest && line.high[i] !== null);
  const back = [...rows].reverse();
  return {
    x: [...rows, ...back].map((i) => x[i]),
    y: [...rows.map((i) => line.high[i]), ...back.map((i) => line.low[i])],
    mode: "lines", line: { width: 0 }, fill: "toself", fillcolor: colour + "30", hoverinfo: "skip",
  };
}

// A cross where a run diverged: on the edge of the picture, if it left it.
function mark(line, x, colour, [low, high], quantity, view) {
  const last = line.y.length - 1, y = line.y[last] ?? Infinity;
  return {
    ...hover(line, quantity, view),
    x: [x[last]], y: [Math.min(Math.max(y, low), high)], mode: "markers", cliponaxis: false,
    marker: { symbol: "x-thin", size: 11, color: colour, line: { width: 2.5, color: colour } },
    hovertemplate: `<b>${plain(line.name)}</b><br>diverged after step ${line.x.step[last].toLocaleString("en")}<extra></extra>`,
  };
}

function* traces(panel, quantity, view) {
  for (const line of panel.lines.filter((line) => view.shown(line))) {
    const x = line.x[view.axis], { colour, marker } = groups[line.group];
    const dash = line.split === "train" ? "solid" : "dash";
    const drawn = { x, y: line.y, mode: "lines" };
    if (line.kind === "raw")
      yield { ...drawn, line: { color: colour, width: 0.5 }, opacity: panel.faint, hoverinfo: "skip" };
    else if (line.kind === "run") {
      if (view.runs)
        yield { ...drawn, ...hover(line, quantity, view), line: { color: colour, width: 0.8, dash }, opacity: 0.45 };
      if (line.diverged) yield mark(line, x, colour, panel.range[panel.scale], quantity, view);
    } else {
      if (line.low && view.band) yield band(line, x, colour, panel.scale);
      yield {
        ...drawn, ...hover(line, quantity, view), mode: "lines+markers",
        line: { color: colour, width: 2.2, dash }, marker: { symbol: marker, size: 7, maxdisplayed: 9 },
      };
    }
  }
}

const GRID = { gridcolor: "#e9ebee", zeroline: false, linecolor: "#868b94", ticks: "outside", tickcolor: "#868b94" };
const FONT = { family: "system-ui, sans-serif", size: 13, color: "#1c1e21" };

function layout(plot) {
  return {
    width: plot.clientWidth, height: plot.clientHeight, font: FONT,
    margin: { l: 44, r: 12, t: 32, b: 44 }, showlegend: false, hovermode: "closest", dragmode: "zoom",
    hoverlabel: { bgcolor: "#fff", font: FONT, align: "left" },
  };
}

const bar = (filename) => ({
  displaylogo: false, modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
  toImageButtonOptions: { format: "svg", filename },
});

function draw(quantity, view) {
  const plot = document.querySelector(`#${quantity} .plot`);
  const scale = quantity === "loss" ? view.scale : "linear";
  const panel = { ...curves[quantity][view.smooth ? "smooth" : "recorded"], scale };
  const end = Math.max(0, ...panel.lines.map((line) => line.x[view.axis].at(-1))) || 1;
  const range = panel.range[scale].map((y) => (scale === "log" ? Math.log10(y) : y));
  const axes = {
    xaxis: { ...GRID, title: { text: AXES[view.axis], standoff: 6 }, range: [0, 1.01 * end], uirevision: view.axis, showgrid: false },
    yaxis: { ...GRID, automargin: true, type: scale, range, uirevision: scale + view.smooth, tickformat: "~g", nticks: scale === "log" ? 4 : 8 },
  };
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", `Curves of the ${quantity} over ${AXES[view.axis]}; the figures are in the table below`);
  Plotly.react(plot, [...traces(panel, quantity, view)], { ...layout(plot), ...axes }, bar(quantity));
}

// The final accuracy of all groups over a setting: those that have curves look as these do, and lie on top.
function drawSlice({ setting, log, x, y, groups: places, whole }, plot) {
  const look = places.map((place) => groups[place] ?? { colour: "#565b63", marker: "circle" });
  const each = (value) => places.map((place, i) => value(i, place < groups.length)).reverse();
  const points = {
    x: each((i) => x[i]), y: each((i) => y[i]), text: each((i) => plain(names[places[i]])), mode: "markers",
    hovertemplate: "<b>%{text}</b><br>final accuracy %{y:.4f}<extra></extra>",
    marker: {
      symbol: each((i) => look[i].marker + (whole[i] ? "" : "-open")), color: each((i) => look[i].colour),
      size: each((i, curve) => (curve ? 9 : 5)), line: { width: 0 }, opacity: each((i, curve) => (curve ? 1 : 0.4)),
    },
  };
  const axes = {
    xaxis: { ...GRID, title: { text: plain(setting), standoff: 6 }, type: log ? "log" : "linear", tickformat: "~g", nticks: 5, tickangle: 0, showgrid: false, uirevision: 0 },
    yaxis: { ...GRID, automargin: true, title: { text: "final accuracy", standoff: 6 }, tickformat: "~g", uirevision: 0 },
  };
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", `Final accuracy of ${x.length} groups over ${setting}`);
  Plotly.react(plot, [points], { ...layout(plot), ...axes }, bar(setting));
}

function showSlices() {
  const plots = document.querySelectorAll(".slices .plot");
  slices.forEach((slice, i) => drawSlice(slice, plots[i]));
}

function show() {
  form.querySelector("[name=scale]").closest("fieldset").disabled = form.elements.quantity.value === "accuracy";
  const chosen = new FormData(form), groupsShown = chosen.getAll("group"), splitsShown = chosen.getAll("split");
  const view = Object.fromEntries(chosen);
  view.shown = (line) => groupsShown.includes(String(line.group)) && splitsShown.includes(line.split);
  const quantities = view.quantity === "both" ? Object.keys(curves) : [view.quantity];
  for (const figure of document.querySelectorAll("main figure")) figure.hidden = !quantities.includes(figure.id);
  for (const quantity of quantities) draw(quantity, view);
}

// The legend: a switch for each group, and one each for training and test.
function entry(name, value, text, colour, dash, sign) {
  const label = document.createElement("label");
  label.innerHTML = `<input type="checkbox" name="${name}" value="${value}" checked><span><svg width="34" height="12" aria-hidden="true">
    <line x1="0" x2="34" y1="6" y2="6" stroke="${colour}" stroke-width="2.2" stroke-dasharray="${dash}"/>
    <text x="17" y="10" text-anchor="middle" font-size="12" fill="${colour}">${sign}</text></svg></span>`;
  label.lastChild.append(text);
  return label;
}

const [sets, named] = form.querySelectorAll(".lines");
sets.append(entry("split", "train", splits.train, "#565b63", "none", ""), entry("split", "test", splits.test, "#565b63", "6 4", ""));
groups.forEach(({ label, colour, marker }, i) => named.append(entry("group", i, label, colour, "none", SIGNS[marker])));
for (const name of ["quantity", "axis", "scale"]) form.elements[name].value = start[name];
for (const name of ["smooth", "band", "runs"]) form.elements[name].checked = start[name];
form.addEventListener("change", show);
form.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("slices").hidden = !slices.length;
document.querySelector(".slices").innerHTML = '<div class="plot"></div>'.repeat(slices.length);
for (const draw of [show, showSlices]) {
  addEventListener("resize", draw);
  draw();
}
