"use strict";
/* The activation graph: which cells of each layer the samples visit, and which come after which. */
splinegraph.view("activation-graph", function (element, report, tools) {
  splinegraph.graph.activationGraph(element, report, tools);
});

(function () {
  const graph = (splinegraph.graph = splinegraph.graph || {});

  /** Draw the activation graph of a report in a place. */
  graph.activationGraph = function (element, report, tools) {
    const model = graph.cells(report);
    if (!model) {
      element.append(tools.el("p", { class: "note" }, absent(report)));
      element.dataset.ready = "true";
      return;
    }
    const view = { element, tools, model, filter: graph.firstFilter(model), selected: null, name: report.name };
    lay(view);
    build(view);
    view.canvas.draw();
    view.canvas.start();
    tell(view);
    element.dataset.ready = "true";
  };

  function absent(report) {
    const section = graph.section(report, "activation");
    if (!section) return "The report has no activation graph.";
    if (!section.cells) return "No operator switches, so there are no cells to show.";
    return "The report has a summary of the cells, but no list of them.";
  }

  function lay(view) {
    view.shown = graph.filtered(view.model, view.filter);
    view.placed = view.shown.cells.length
      ? graph.columns(view.model, view.shown)
      : { at: new Map(), columns: [], radius: () => 1, tallest: 1 };
  }

  function build(view) {
    const { el } = view.tools;
    const left = el("div", { class: "graph-left" });
    view.panel = el("div", { class: "graph-panel", role: "region", "aria-label": "details of a cell", tabindex: "0" });
    view.legend = el("ul", { class: "graph-legend", "aria-label": "legend" });
    const bar = el("div", { class: "graph-tools" });
    view.element.append(
      bar,
      el("div", { class: "graph-frame" }, left, view.panel),
      view.legend,
      graph.cellOutline(view, pick(view)),
    );
    const { cells, edges, layers } = view.model;
    view.canvas = graph.canvas(left, view.tools, {
      label:
        `Activation graph: ${cells.length} cells in ${layers.length} layers, ${edges.length} edges. ` +
        "Arrow keys go along edges and within a layer, Enter shows details, plus, minus and 0 zoom. " +
        "The outline below says the same.",
      scene: (theme) => scene(view, theme),
      keys: (key) => walked(view, key),
      tap: (id) => choose(view, id ? view.model.byId.get(id) || null : null, false),
      open: () => view.panel.focus(),
      themed: () => legend(view),
      whole: true,
      library: false,
    });
    bar.append(
      ...graph.cellFilters(view, () => redraw(view)),
      graph.sampleBox(view),
      graph.zoomButtons(view.canvas, "activation-graph"),
    );
    hint(view);
  }

  // drawing

  function scene(view, theme) {
    const { at, radius, columns, tallest } = view.placed;
    const titles = columns.map(({ layer, x, count, stride }) => ({
      id: `layer ${layer}`,
      x,
      y: -tallest / 2 - 0.02 * tallest,
      w: stride,
      h: 0.16 * tallest + 20,
      fill: theme.paper,
      rim: theme.paper,
      lines: [graph.fitted(view.model.layers[layer], stride), count === 1 ? "1 cell" : `${count} cells`],
      title: true,
    }));
    const cells = view.shown.cells.map((cell) => {
      const r = radius(cell);
      const color = theme.series[graph.series(view, cell.main)];
      const pie =
        cell.labels.length > 1
          ? cell.labels.map(([label, n]) => [theme.series[graph.series(view, label)], n / cell.count])
          : null;
      return {
        id: cell.id,
        ...at.get(cell.id),
        w: 2 * r,
        h: 2 * r,
        fill: graph.mixed(theme.paper, color, 0.75),
        rim: color,
        corners: "",
        lines: r > 11 ? [String(cell.count)] : [],
        pie: pie && pie.map(([c, share]) => [graph.mixed(theme.paper, c, 0.75), share]),
      };
    });
    const largest = Math.max(1, ...view.shown.edges.map((edge) => edge.count));
    const edges = view.shown.edges.map((edge) => ({
      id: edge.id,
      source: `c${edge.from}`,
      target: `c${edge.to}`,
      points: [],
      width: broad(edge.count / largest),
      color: graph.mixed(theme.paper, theme.series[graph.series(view, view.model.cells[edge.from].main)], 0.6),
    }));
    const nodes = [...titles, ...cells];
    return { nodes, edges, byId: new Map(nodes.map((node) => [node.id, node])), arrows: false };
  }

  const broad = (share) => [0.8, 1.6, 3, 5, 8][Math.min(4, Math.floor(5 * Math.sqrt(share) * 0.999))];

  function legend(view) {
    const theme = view.tools.theme();
    const rows = view.model.labels.slice(0, 20).map((label) => {
      const color = theme.series[graph.series(view, label)];
      return { fill: graph.mixed(theme.paper, color, 0.75), rim: color, corners: "", text: graph.named(view, label) };
    });
    if (view.model.labels.length > 20)
      rows.push({
        fill: theme.paper,
        rim: theme.line,
        text: `${view.model.labels.length - 20} more classes, in the same colors`,
      });
    graph.showLegend(view.legend, rows, view.tools);
  }

  const pick = (view) => (cell) => choose(view, cell);

  function redraw(view) {
    lay(view);
    if (view.selected && !view.placed.at.has(view.selected.id)) view.selected = null;
    view.canvas.draw();
    mark(view);
    view.canvas.start();
    tell(view);
  }

  function tell(view) {
    legend(view);
    const { cells, edges } = view.shown;
    const out = view.model.leftOut ? `; ${view.model.leftOut} rarer cells are not in the report` : "";
    view.canvas.say(`${cells.length} of ${view.model.cells.length} cells and ${edges.length} edges shown${out}`);
  }

  // selecting

  function hint(view) {
    const { el } = view.tools;
    view.panel.replaceChildren(
      el("h4", {}, "Cells"),
      el(
        "p",
        { class: "graph-small" },
        "A disc is a cell: all samples in it have the same pattern in that layer. Its area grows with their number, " +
          "its colors are their classes; columns are layers, in the network's order. Click a cell for its samples " +
          "and for all paths through it. Drag to move; once the picture has been clicked, the wheel zooms.",
      ),
    );
  }

  function choose(view, cell, moves = true) {
    view.selected = cell;
    if (!cell) {
      mark(view);
      hint(view);
      return;
    }
    if (!view.placed.at.has(cell.id)) {
      Object.assign(view.filter, {
        least: Math.min(view.filter.least, cell.count),
        label: "",
        from: Math.min(view.filter.from, cell.layer),
        to: Math.max(view.filter.to, cell.layer),
      });
      view.refresh();
      redraw(view);
    }
    mark(view);
    if (moves) view.canvas.show(cell.id);
    graph.cellDetails(view, cell, pick(view));
    view.canvas.say(`cell ${cell.key} of ${view.model.layers[cell.layer]}, ${cell.count} samples`);
  }

  function mark(view) {
    if (!view.selected) return view.canvas.mark([], []);
    const visible = new Set(view.shown.edges.map((edge) => edge.id));
    view.canvas.mark([view.selected.id], graph.through(view.model, view.selected, visible));
  }

  /* Left and right go along the edge of most samples, up and down to the next cell of the layer. */
  function walked(view, key) {
    if (key === "Escape") return (choose(view, null), true);
    if (key === "Enter" || key === " ") return (view.panel.focus(), true);
    if (!key.startsWith("Arrow")) return false;
    const here = view.selected;
    if (!here || !view.placed.at.has(here.id)) {
      if (view.shown.cells.length) choose(view, view.shown.cells[0]);
      return true;
    }
    const next =
      key === "ArrowRight"
        ? heaviest(view, here.after, "to")
        : key === "ArrowLeft"
          ? heaviest(view, here.before, "from")
          : beside(view, here, key === "ArrowDown" ? 1 : -1);
    if (next) choose(view, next);
    return true;
  }

  function heaviest(view, edges, end) {
    const seen = edges.filter((edge) => view.placed.at.has(`c${edge[end]}`));
    return seen.length
      ? view.model.cells[seen.reduce((best, edge) => (edge.count > best.count ? edge : best))[end]]
      : null;
  }

  function beside(view, cell, direction) {
    const y = (other) => direction * view.placed.at.get(other.id).y;
    const others = view.shown.cells.filter((other) => other.layer === cell.layer && y(other) > y(cell));
    return others.length ? others.reduce((best, other) => (y(other) < y(best) ? other : best)) : null;
  }
})();
