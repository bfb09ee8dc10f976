"use strict";

/* Lines and bars over the layers, drawn with Plot: one place for sizes, names of layers and pointing. */
(function () {
  const NAMED = 24;
  const NARROW = 420;

  /** Width of a chart: that of its place, in `columns` beside each other where there is room. */
  function widthOf(element, columns) {
    const whole = element.clientWidth || 720;
    return Math.max(260, Math.min(760, whole < 2 * NARROW ? whole : Math.floor(whole / columns) - 16));
  }

  /** Options of a scale along the layers: their names where they fit, else their numbers. */
  function along(names, width) {
    const named = names.length <= NAMED && (width - 60) / names.length >= 12;
    const short = (i) => splinegraph.charts.short(names[i], 14);
    return {
      x: {
        type: "band",
        domain: d3.range(names.length),
        label: named ? null : "operator, in the graph's order",
        ticks: named ? undefined : d3.ticks(0, names.length - 1, width / 70).filter(Number.isInteger),
        tickFormat: named ? short : undefined,
        tickRotate: named ? -40 : 0,
        padding: 0.25,
      },
      marginBottom: named ? 72 : 40,
    };
  }

  /**
   * A chart over layers.
   *
   * @param {object} options of Plot.plot, with `finding`: what it shows, in words
   * @param {string[]} names of the layers
   * @param {number} width
   * @returns {HTMLElement}
   */
  function depth(options, names, width) {
    const { x, marginBottom } = along(names, width);
    const { finding, ...rest } = options;
    const style = { background: "none", color: "var(--muted)", fontSize: "11px", fontFamily: "inherit" };
    const svg = Plot.plot({ width, height: 240, marginLeft: 52, marginBottom, x, style, ...rest });
    svg.classList.add("depth-chart");
    // Plot labels its groups, the tip's anew each time: to readers the whole is one image
    svg.setAttribute("aria-hidden", "true");
    return splinegraph.tools.el("div", { class: "depth-place", role: "img", "aria-label": finding }, svg);
  }

  /** Ticks of a logarithmic axis: of 1, 2 and 5 times powers of ten as many as fit. */
  function logTicks([low, high], most) {
    const decades = d3.range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)) + 1);
    const within = (value) => value >= low && value <= high;
    const choices = [[1, 2, 5], [1, 3], [1]].map((digits) => {
      return decades.flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`))).filter(within);
    });
    const fine = choices.find((ticks) => ticks.length <= most);
    const every = Math.ceil(choices[2].length / most);
    return fine || choices[2].filter((_, i) => i % every === 0);
  }

  /** A tick's number: powers of ten where zeros would run into each other. */
  function tick(value) {
    return value >= 1e5 || value < 1e-3 ? value.toExponential().replace("e+", "e") : value.toLocaleString("en-US");
  }

  /** A chart under its title. */
  function panel(tools, title, width, ...parts) {
    return tools.el(
      "div",
      { class: "chart-panel", style: `width: ${width}px` },
      tools.el("h4", { class: "chart-title" }, title),
      ...parts,
    );
  }

  /** Radius of a dot, so that many do not run into each other. */
  function radius(count) {
    return count > 60 ? 1 : 3;
  }

  splinegraph.depth = { chart: depth, logTicks, panel, radius, tick, widthOf };
})();
