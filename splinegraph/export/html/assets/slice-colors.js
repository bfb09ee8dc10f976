"use strict";

/* Colors of a slice's cells by largest output, linear region or norm, and the legends that explain them. */
(function () {
  const SHADES = [58, 64, 70, 76];
  const STEPS = 24;
  const WIDE = 20;

  /** Cells cut where the largest output changes; neighbors differ a little in shade. */
  function byClass(view) {
    const parts = view.picture.pieces.map((piece) => {
      const shade = SHADES[(piece.cell * 7 + (piece.cell >> 2)) % SHADES.length];
      return { corners: piece.corners, color: `${piece.output} ${shade}` };
    });
    const styleOf = (color) => {
      const [output, shade] = color.split(" ").map(Number);
      return `color-mix(in srgb, ${view.color(output)} ${shade}%, var(--paper))`;
    };
    return { parts, styleOf };
  }

  /** Regions side by side have different colors. */
  function byRegion(view) {
    view.regionColors = view.regionColors || view.shape.colors();
    const parts = view.shape.polygons.map((corners, cell) => ({ corners, color: view.regionColors[cell] }));
    const styleOf = (color) => {
      const shade = color < 10 ? 62 : 36;
      return `color-mix(in srgb, var(--s${color % 10}) ${shade}%, var(--paper))`;
    };
    return { parts, styleOf };
  }

  /** The range of the norms; logarithmic where it is wide. */
  function rangeOf(norms) {
    const known = norms.filter((norm) => norm !== null && norm > 0);
    const [low, high] = known.length ? d3.extent(known) : [0, 1];
    return { low, high, log: low > 0 && high > WIDE * low };
  }

  function place(range, norm) {
    const { low, high, log } = range;
    if (!(high > low)) {
      return 0.5;
    }
    const share = log ? Math.log(Math.max(norm, low) / low) / Math.log(high / low) : (norm - low) / (high - low);
    return Math.max(0, Math.min(1, share));
  }

  function byNorm(view) {
    const range = rangeOf(view.picture.norms);
    const parts = view.shape.polygons.map((corners, cell) => {
      const norm = view.picture.norms[cell];
      return { corners, color: norm === null ? -1 : Math.round(place(range, norm) * STEPS) };
    });
    return { parts, styleOf: (step) => (step < 0 ? "var(--line)" : d3.interpolateCividis(step / STEPS)) };
  }

  function item(tools, mark, text) {
    return tools.el("span", { class: "legend-item" }, mark, text);
  }

  function marks(view, tools) {
    const found = [];
    if (view.picture.boundary.length) {
      found.push(item(tools, tools.el("span", { class: "legend-line" }), "decision boundary, exact"));
    }
    const points = view.placed.filter((mark) => mark.point);
    if (points.length) {
      const text = points.some((mark) => mark.known) ? "sample, in the color of its label" : "sample";
      found.push(item(tools, tools.el("span", { class: "legend-dot" }), text));
    }
    return found;
  }

  function classLegend(view, tools) {
    const order = [...view.shares].sort((a, b) => b[1] - a[1]);
    const shown = order.slice(0, 12).map(([output, size]) => {
      const share = splinegraph.slicePanel.percent(size / view.whole);
      return item(tools, view.swatch(output), `${splinegraph.charts.short(view.className(output), 40)}: ${share}`);
    });
    const rest = order.length - shown.length;
    return rest ? [...shown, tools.el("span", {}, `and ${rest} more`)] : shown;
  }

  function normLegend(view, tools) {
    const range = rangeOf(view.picture.norms);
    const stops = d3.range(0, 1.01, 0.125).map((share) => d3.interpolateCividis(share));
    const style = `background: linear-gradient(to right, ${stops.join(", ")})`;
    return [
      tools.el("span", {}, `‖A‖₂ of the map${range.log ? ", logarithmic" : ""}:`),
      tools.el("span", {}, tools.number(range.low)),
      tools.el("span", { class: "legend-ramp", style }),
      tools.el("span", {}, tools.number(range.high)),
    ];
  }

  /** What explains the colors, as nodes. */
  function legend(view, tools) {
    const told = {
      class: classLegend,
      region: () => [tools.el("span", {}, "Regions side by side differ in color; colors mean nothing else.")],
      norm: normLegend,
    };
    return [...told[view.mode](view, tools), ...marks(view, tools)];
  }

  splinegraph.sliceColors = { class: byClass, region: byRegion, norm: byNorm, legend };
})();
