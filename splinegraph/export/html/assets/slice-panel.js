"use strict";

/* What is told of one cell of a slice, beside the picture. */
(function () {
  const ROWS = 10;

  /** Scores of a cell's affine map at a point, the largest first. */
  function scores(rows, [s, t]) {
    return rows
      .map(([output, a, b, c]) => ({ output, a, b, c, value: a * s + b * t + c }))
      .sort((one, other) => other.value - one.value || one.output - other.output);
  }

  function fact(tools, name, ...value) {
    return [tools.el("dt", {}, name), tools.el("dd", {}, ...value)];
  }

  function percent(share) {
    return share > 0 && share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
  }

  function table(view, tools, cell, at) {
    const found = scores(view.picture.maps[cell] || [], at);
    if (!found.length) {
      return tools.el("p", { class: "chart-note" }, "The report does not hold the affine maps of the cells.");
    }
    const head = ["output", "score", "d/ds", "d/dt", "constant"];
    const body = found.slice(0, ROWS).map((row, place) => {
      const name = tools.el(
        "th",
        { scope: "row", title: view.outputName(row.output) },
        ...(view.single ? [] : [view.swatch(row.output)]),
        view.outputName(row.output),
      );
      const cells = [row.value, row.a, row.b, row.c].map((x) => tools.el("td", { class: "number" }, tools.number(x)));
      return tools.el("tr", place ? {} : { class: "winner" }, name, ...cells);
    });
    const columns = head.map((text, i) => tools.el("th", { scope: "col", class: i ? "number" : "" }, text));
    return tools.el(
      "div",
      { class: "slice-scroll", tabindex: "0", role: "region", "aria-label": "Scores in this cell" },
      tools.el(
        "table",
        { class: "slice-scores" },
        tools.el("thead", {}, tools.el("tr", {}, ...columns)),
        tools.el("tbody", {}, ...body),
      ),
    );
  }

  function winnersText(view, cell) {
    const names = view.winners[cell].map((output) => view.className(output));
    return names.length === 1 ? names[0] : `${names.join(" or ")}: the decision boundary runs through this cell`;
  }

  /**
   * Describe a cell in one sentence, for screen readers.
   *
   * @param {object} view the slice's state
   * @param {object} tools the page's tools
   * @param {number} cell
   * @returns {string}
   */
  function sentence(view, tools, cell) {
    const norm = view.picture.norms && view.picture.norms[cell];
    const size = norm === null || norm === undefined ? "" : `, norm of the map ${tools.number(norm)}`;
    const region = `linear region ${view.picture.regions[cell]}`;
    return `Activation cell ${cell}, ${region}, ${view.largest}: ${winnersText(view, cell)}${size}`;
  }

  /**
   * Show a cell in the panel.
   *
   * @param {object} view the slice's state: picture, shape, winners, outputName, swatch, whole, largest
   * @param {object} tools the page's tools
   * @param {number} cell
   * @param {number[]} at where scores are worked out, in the slice's coordinates
   * @returns {Node[]}
   */
  function details(view, tools, cell, at) {
    const { picture, shape } = view;
    const region = picture.regions[cell];
    const together = shape.cellsOf.get(region).length;
    const share = shape.areas[cell] / view.whole;
    const norm = picture.norms ? picture.norms[cell] : null;
    const several = together > 1 ? `${region} (${together} activation cells)` : `${region} (this cell alone)`;
    const facts = [
      ...fact(tools, "linear region", several),
      ...fact(tools, view.largest, ...winnersSwatches(view, cell), winnersText(view, cell)),
      ...fact(tools, "norm ‖A‖₂", norm === null || norm === undefined ? "not known" : tools.number(norm)),
      ...fact(tools, "corners", String(shape.polygons[cell].length)),
      ...fact(tools, "area", `${percent(share)} of the slice`),
      ...fact(tools, "code", ...codeLines(tools, picture, cell)),
    ];
    const where = `s = ${tools.number(at[0])}, t = ${tools.number(at[1])}`;
    return [
      tools.el("h4", {}, `Activation cell ${cell}`),
      tools.el("dl", { class: "slice-facts" }, ...facts),
      tools.el("p", { class: "chart-note" }, `Scores are affine in this cell; at ${where}:`),
      table(view, tools, cell, at),
      ...cut(tools, (picture.maps[cell] || []).length),
    ];
  }

  /** The code of a cell, layer by layer where its words are those of the layers. */
  function codeLines(tools, picture, cell) {
    const words = ((picture.codes || [])[cell] || "").split(" ").filter(Boolean);
    const layers = picture.layers || [];
    const extra = words.length - layers.length;
    if (!words.length || !layers.length || extra < 0 || extra > 1) {
      return [tools.el("code", { class: "slice-code" }, words.join(" ") || "not kept")];
    }
    // a digest comes first where the code is too long; then how many units are on each piece
    const named = layers.map((layer, i) => {
      return tools.el("div", {}, tools.el("span", {}, `${layer} `), tools.el("code", {}, words[i + extra]));
    });
    const digest = extra
      ? [tools.el("div", {}, tools.el("code", {}, words[0]), " (digest); units on each piece:")]
      : [];
    return [tools.el("div", { class: "slice-code" }, ...digest, ...named)];
  }

  function winnersSwatches(view, cell) {
    return view.winners[cell].map((output) => view.swatch(output));
  }

  function cut(tools, rows) {
    return rows > ROWS ? [tools.el("p", { class: "chart-note" }, `The ${ROWS} largest of ${rows} kept.`)] : [];
  }

  splinegraph.slicePanel = { details, percent, scores, sentence };
})();
