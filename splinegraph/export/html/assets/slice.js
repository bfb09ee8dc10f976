"use strict";

/* The exact slice of the input space: cells, linear regions, decision boundary, samples; zoom, hover, keyboard. */
(function () {
  const MARGIN = { left: 62, right: 10, top: 10, bottom: 38 };
  const NAMED = 30;
  const MODES = [
    ["class", "largest output"],
    ["region", "linear region"],
    ["norm", "norm of the map"],
  ];

  /** Why there is no picture, in one line. */
  function absence(section) {
    if (!section) {
      return "The report has no section on regions.";
    }
    return section.why || "The report holds no picture of a slice.";
  }

  /** What all parts of the view share. */
  function stateOf(element, picture, tools) {
    const shape = splinegraph.sliceGeometry.geometry(picture);
    const winners = picture.cells.map(() => []);
    const shares = new Map();
    picture.pieces.forEach((piece) => {
      const size = splinegraph.sliceGeometry.area(piece.corners);
      shares.set(piece.output, (shares.get(piece.output) || 0) + size);
      if (!winners[piece.cell].includes(piece.output)) {
        winners[piece.cell].push(piece.output);
      }
    });
    const outputs = [...shares.keys()].sort((a, b) => a - b);
    const single = picture.outputs === 1;
    // with more than ten classes, those in the picture get the ten colors in their order
    const ranked = outputs.length <= 10 && Math.max(0, ...outputs) > 9;
    const place = (output) => (ranked && outputs.includes(output) ? outputs.indexOf(output) : output + 10);
    const color = (output) => `var(--s${place(output) % 10})`;
    return {
      element,
      picture,
      shape,
      winners,
      shares,
      outputs,
      color,
      single,
      whole: shape.areas.reduce((sum, size) => sum + size, 0) || 1,
      largest: single ? "sign" : "largest output",
      className: (output) => (single ? (output < 0 ? "f ≤ 0" : "f > 0") : tools.className(output)),
      outputName: (output) => (single ? "f" : tools.className(output)),
      swatch: (output) => tools.el("span", { class: "swatch", style: `background: ${color(output)}` }),
      axisName: (i, room) => axisName(["s", "t"][i], picture.axes[i], room),
      largestAt: (cell, at) => largestAt(picture, winners, single, cell, at),
      mode: "class",
      cell: -1,
      at: [0, 0],
      pinned: false,
      transform: d3.zoomIdentity,
    };
  }

  /** What stands at an axis: the letter alone where its name does not fit. */
  function axisName(letter, name, room) {
    const whole = letter === name ? name : `${letter}: ${name}`;
    return 6.3 * whole.length > room ? letter : whole;
  }

  /** Which output is largest at a point of a cell. */
  function largestAt(picture, winners, single, cell, at) {
    if (winners[cell].length < 2) {
      return winners[cell].length ? winners[cell][0] : null;
    }
    const [best] = splinegraph.slicePanel.scores(picture.maps[cell], at);
    return single ? (best.value > 0 ? 0 : -1) : best.output;
  }

  /** The finding in words. */
  function finding(view, tools) {
    const { picture, shape, shares } = view;
    const named = [...shares].sort((a, b) => b[1] - a[1]).slice(0, 5);
    const told = named.map(([output, size]) => {
      return `${view.className(output)} on ${splinegraph.slicePanel.percent(size / view.whole)} of it`;
    });
    const more = shares.size > named.length ? `, and ${shares.size - named.length} more` : "";
    const boundary = picture.boundary.length
      ? `the decision boundary in ${picture.boundary.length} segments`
      : "no decision boundary runs through it";
    const cells = `${picture.cells.length} activation cells, ${shape.cellsOf.size} linear regions`;
    return `Exact slice of the input space: ${cells}; ${view.largest} ${told.join(", ")}${more}; ${boundary}.`;
  }

  function path(lines, closed) {
    const move = (line) => `M${line.map((point) => `${point[0]},${point[1]}`).join("L")}${closed ? "Z" : ""}`;
    return lines.map(move).join("");
  }

  /** Scales from the slice's coordinates to the picture's, equal on both axes where that leaves a usable shape. */
  function scalesOf(view) {
    const width = Math.max(280, Math.min(660, view.place.clientWidth || 660));
    const [[s0, s1], [t0, t1]] = view.picture.extent;
    const inner = width - MARGIN.left - MARGIN.right;
    const ratio = Math.max(0.45, Math.min(1.05, (t1 - t0) / (s1 - s0 || 1) || 1));
    const height = inner * ratio + MARGIN.top + MARGIN.bottom;
    const x = d3.scaleLinear([s0, s1], [MARGIN.left, width - MARGIN.right]);
    const y = d3.scaleLinear([t0, t1], [height - MARGIN.bottom, MARGIN.top]);
    return { width, height, x, y };
  }

  function draw(view, tools) {
    const { width, height, x, y } = view;
    const svg = d3.select(view.place).append("svg").attr("viewBox", `0 0 ${width} ${height}`);
    svg.attr("class", "slice-svg").attr("role", "img").attr("tabindex", 0).attr("aria-label", finding(view, tools));
    const clip = svg.append("clipPath").attr("id", "slice-clip").append("rect");
    clip.attr("x", MARGIN.left).attr("y", MARGIN.top);
    clip.attr("width", width - MARGIN.left - MARGIN.right).attr("height", height - MARGIN.top - MARGIN.bottom);
    const inside = svg.append("g").attr("clip-path", "url(#slice-clip)");
    const zoomed = inside.append("g").attr("class", "slice-zoomed");
    view.fills = zoomed.append("g").attr("class", "slice-fills");
    const put = (lines) => lines.map((line) => line.map((point) => [x(point[0]).toFixed(3), y(point[1]).toFixed(3)]));
    view.put = put;
    view.sides = zoomed
      .append("path")
      .attr("class", "slice-sides")
      .attr("d", path(put(view.shape.sides)));
    const boundary = path(put(view.picture.boundary));
    zoomed.append("path").attr("class", "slice-boundary-halo").attr("d", boundary);
    zoomed.append("path").attr("class", "slice-boundary").attr("d", boundary);
    view.region = zoomed.append("path").attr("class", "slice-region");
    view.outline = zoomed.append("path").attr("class", "slice-cell");
    view.marks = inside.append("g").attr("class", "slice-marks");
    view.axes = ["s", "t"].map(() => svg.append("g").attr("class", "slice-axis"));
    view.axes[0].attr("transform", `translate(0 ${height - MARGIN.bottom})`);
    view.axes[1].attr("transform", `translate(${MARGIN.left} 0)`);
    const middle = `translate(${(MARGIN.left + width) / 2} ${height - 4})`;
    const side = `translate(12 ${(height - MARGIN.bottom) / 2}) rotate(-90)`;
    [middle, side].forEach((place, i) => {
      svg
        .append("text")
        .attr("class", "slice-name")
        .attr("transform", place)
        .text(view.axisName(i, i ? height - MARGIN.bottom : width - MARGIN.left));
    });
    view.zoomed = zoomed;
    view.svg = svg;
  }

  /** Whether a sample lies in what is drawn, its rim included: coordinates are rounded. */
  function isInside(picture, point) {
    return picture.extent.every(([low, high], axis) => {
      const slack = 1e-4 * (high - low);
      return point.at[axis] >= low - slack && point.at[axis] <= high + slack;
    });
  }

  function pointMarks(view, tools) {
    const inside = (view.picture.points || []).filter((point) => isInside(view.picture, point));
    return inside.map((point) => {
      const title = pointName(tools, point);
      const known = typeof point.label === "number" && !view.single;
      const fill = known ? view.color(point.label) : "var(--paper)";
      return { at: point.at, text: inside.length <= NAMED ? title : "", title, fill, known, point: true };
    });
  }

  function pointName(tools, point) {
    const label = point.label === null || point.label === undefined ? "" : `: ${tools.className(point.label)}`;
    return `sample ${point.sample}${splinegraph.charts.short(label, 26)}`;
  }

  /** What is told of samples in the slice's plane that lie outside of what is drawn. */
  function outside(view, tools) {
    const far = (view.picture.points || []).filter((point) => !isInside(view.picture, point));
    if (!far.length) {
      return [];
    }
    const where = ({ at: [s, t] }) => `s = ${tools.number(s)}, t = ${tools.number(t)}`;
    const told = far.slice(0, 5).map((point) => `${pointName(tools, point)} at ${where(point)}`);
    const more = far.length > 5 ? ` and ${far.length - 5} more` : "";
    return [tools.el("p", { class: "chart-note" }, `Outside of this part of the slice: ${told.join("; ")}${more}.`)];
  }

  function drawMarks(view, tools) {
    view.placed = [...(view.mode === "class" ? splinegraph.sliceMarks(view) : []), ...pointMarks(view, tools)];
    view.marks.selectAll("*").remove();
    const groups = view.marks.selectAll("g").data(view.placed).join("g");
    const points = groups.filter((mark) => mark.point);
    const circles = points.append("circle").attr("class", "slice-point").attr("r", 4.5);
    circles
      .attr("style", (mark) => `fill: ${mark.fill}`)
      .append("title")
      .text((mark) => mark.title);
    const texts = groups.append("text").text((mark) => mark.text);
    texts.attr("class", (mark) => (mark.point ? "slice-label" : "slice-class"));
    texts.attr("x", (mark) => (mark.point ? 8 : 0)).attr("dy", (mark) => (mark.point ? "-0.4em" : "0.35em"));
    move(view);
  }

  /** Follow the zoom: marks and axes keep their size. */
  function move(view) {
    const { transform, x, y } = view;
    view.zoomed.attr("transform", transform);
    view.marks.selectAll("g").attr("transform", (mark) => {
      return `translate(${transform.applyX(x(mark.at[0]))} ${transform.applyY(y(mark.at[1]))})`;
    });
    const ticks = Math.max(3, Math.round(view.width / 110));
    view.axes[0].call(d3.axisBottom(transform.rescaleX(x)).ticks(ticks).tickSizeOuter(0));
    view.axes[1].call(d3.axisLeft(transform.rescaleY(y)).ticks(ticks).tickSizeOuter(0));
    const side = Math.sqrt((view.width * view.height) / Math.max(view.picture.cells.length, 1)) * transform.k;
    view.sides.style("stroke-width", `${Math.max(0.15, Math.min(0.9, 0.045 * side))}px`);
  }

  /** Color the cells; one path for all that share a color, which keeps thousands of cells quick. */
  function fill(view) {
    const { parts, styleOf } = splinegraph.sliceColors[view.mode](view);
    const groups = d3.group(parts, (part) => part.color);
    const paths = view.fills
      .selectAll("path")
      .data([...groups])
      .join("path");
    paths.attr("d", ([, members]) => path(view.put(members.map((part) => part.corners)), true));
    // the rim covers the hair-lines that antialiasing leaves between neighbors
    paths.attr("style", ([color]) => `fill: ${styleOf(color)}; stroke: ${styleOf(color)}`);
  }

  /** Show a cell: outline it and its region, tell of it beside. */
  function show(view, tools, cell, at, spoken) {
    view.cell = cell;
    view.at = at;
    const { polygons, outline } = view.shape;
    view.outline.attr("d", cell < 0 ? null : path(view.put([polygons[cell]]), true));
    view.region.attr("d", cell < 0 ? null : path(view.put(outline(view.picture.regions[cell]))));
    if (cell < 0) {
      return;
    }
    view.panel.replaceChildren(...splinegraph.slicePanel.details(view, tools, cell, at));
    view.pin.textContent = view.pinned ? "Release the cell" : "Keep this cell";
    view.pin.setAttribute("aria-pressed", String(view.pinned));
    if (spoken) {
      view.live.textContent = splinegraph.slicePanel.sentence(view, tools, cell);
    }
  }

  /** What the axes are, where their names did not fit beside them. */
  function axesNote(view, tools) {
    const names = [0, 1].map((i) => view.axisName(i, Infinity));
    const shown = view.svg
      .selectAll(".slice-name")
      .nodes()
      .map((node) => node.textContent);
    return names.every((name, i) => shown[i] === name)
      ? []
      : [tools.el("p", { class: "chart-note" }, `${names.join("; ")}.`)];
  }

  function mount(element, picture, tools) {
    const view = stateOf(element, picture, tools);
    view.place = tools.el("div", { class: "slice-place" });
    view.panel = tools.el("div", { class: "slice-facts-of-cell" });
    view.live = tools.el("p", { class: "sr-only", "aria-live": "polite" });
    view.legend = tools.el("div", { class: "chart-legend" });
    view.pin = tools.el("button", { type: "button", "aria-pressed": "false" }, "Keep this cell");
    view.bar = tools.el("div", { class: "chart-bar" });
    const left = tools.el("div", { class: "slice-left" }, view.bar, view.place, view.legend);
    const right = tools.el("div", { class: "slice-panel" }, view.panel, view.pin);
    element.append(tools.el("div", { class: "slice" }, left, right), view.live);
    Object.assign(view, scalesOf(view));
    draw(view, tools);
    view.recolor = (mode) => {
      view.mode = mode;
      fill(view);
      drawMarks(view, tools);
      view.legend.replaceChildren(...splinegraph.sliceColors.legend(view, tools));
    };
    view.recolor("class");
    view.show = (cell, at, spoken) => show(view, tools, cell, at || view.shape.centers[cell], spoken);
    splinegraph.sliceControls(view, tools, MODES);
    element.append(...axesNote(view, tools), ...outside(view, tools));
    const start = d3.maxIndex(view.shape.areas);
    view.show(start);
    view.move = () => move(view);
  }

  splinegraph.view("slice", function (element, report, tools) {
    const section = report.sections.regions;
    const picture = section && section.picture;
    if (!picture || !picture.cells || !picture.cells.length) {
      element.append(tools.el("p", { class: "chart-note" }, absence(section)));
    } else {
      mount(element, picture, tools);
    }
    element.dataset.ready = "true";
  });
})();
