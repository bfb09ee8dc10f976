"use strict";
/* What the activation graph says of a cell, as a panel and as an outline. */
(function () {
  const graph = (splinegraph.graph = splinegraph.graph || {});

  const NONE = 7;

  /** Return the color number of a label. */
  graph.series = (view, label) => (label === null ? NONE : Math.max(0, view.model.labels.indexOf(label)) % 10);

  /** Return what a label is called. */
  graph.named = (view, label) => (/^\d+$/.test(label) ? view.tools.className(Number(label)) : label);

  /**
   * Show a cell in the panel.
   * @param {object} view
   * @param {object} cell
   * @param {(cell: object) => void} pick selects another
   */
  graph.cellDetails = function (view, cell, pick) {
    const { el, number } = view.tools;
    const fact = (name, ...value) => [el("dt", {}, name), el("dd", {}, ...value)];
    view.panel.replaceChildren(
      el("h4", {}, `cell ${cell.key}`),
      el(
        "dl",
        { class: "graph-facts" },
        ...fact("layer", view.model.layers[cell.layer]),
        ...fact("samples", number(cell.count)),
        ...fact("the first", cell.samples.length ? cell.samples.join(", ") : "not listed"),
      ),
      ...labels(view, cell),
      ...steps(view, "Coming from", cell.before, "from", pick),
      ...steps(view, "Going to", cell.after, "to", pick),
      el("p", { class: "graph-small" }, "Marked in the picture: all edges that lead to this cell or on from it."),
      el(
        "p",
        {},
        el(
          "button",
          { type: "button", onClick: () => splinegraph.tools.showNode(view.model.layers[cell.layer]) },
          "show the layer's operator",
        ),
      ),
    );
    view.panel.scrollTop = 0;
  };

  function labels(view, cell) {
    if (!cell.labels.length) return [];
    const rows = cell.labels.slice(0, 12).map(([label, count]) => ({
      name: graph.named(view, label),
      share: count / cell.count,
      series: graph.series(view, label),
      text: String(count),
    }));
    return [view.tools.el("h5", {}, "Classes"), graph.bars(rows, view.tools)];
  }

  function steps(view, title, edges, end, pick) {
    const { el } = view.tools;
    const sorted = [...edges].sort((p, q) => q.count - p.count);
    if (!sorted.length) return [];
    const rows = sorted.slice(0, 15).map((edge) => {
      const cell = view.model.cells[edge[end]];
      const go = el("button", { type: "button", class: "graph-link", onClick: () => pick(cell) }, cell.key);
      return el("li", {}, go, ` ${edge.count} in ${view.model.layers[cell.layer]}`);
    });
    const more = sorted.length > 15 ? el("li", { class: "graph-small" }, `and ${sorted.length - 15} more`) : null;
    return [el("h5", {}, title), el("ul", { class: "graph-steps" }, ...rows, more)];
  }

  /** Return the cells as a nested list, most samples first; `pick` selects one. */
  graph.cellOutline = function (view, pick) {
    const { el } = view.tools;
    const layer = (name, i) => {
      const made = el("details", { class: "graph-module" }, el("summary", {}, name));
      made.addEventListener("toggle", () => {
        if (made.open && made.children.length === 1) made.append(listed(view, i, pick));
      });
      return el("li", {}, made);
    };
    return el(
      "details",
      { class: "graph-outline" },
      el("summary", {}, `Outline: ${view.model.cells.length} cells by layer`),
      el("ul", {}, ...view.model.layers.map(layer)),
    );
  };

  function listed(view, layer, pick) {
    const { el } = view.tools;
    const cells = view.model.cells.filter((cell) => cell.layer === layer).sort((p, q) => q.count - p.count);
    const row = (cell) => {
      const what = cell.labels
        .slice(0, 3)
        .map(([label, count]) => `${graph.named(view, label)} ${count}`)
        .join(", ");
      const go = el("button", { type: "button", class: "graph-link", onClick: () => pick(cell) }, cell.key);
      return el("li", {}, go, el("span", { class: "graph-small" }, ` ${cell.count} samples${what ? `: ${what}` : ""}`));
    };
    const more = cells.length > 50 ? el("li", { class: "graph-small" }, `and ${cells.length - 50} rarer ones`) : null;
    return el("ul", {}, ...cells.slice(0, 50).map(row), more);
  }
})();
