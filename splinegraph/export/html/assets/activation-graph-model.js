"use strict";
/* The activation graph as plain data: cells of each layer, filters, places in columns, paths. */
(function () {
  const graph = (splinegraph.graph = splinegraph.graph || {});

  const RADII = [3, 26];

  /** Samples of a cell whose disc has the largest radius, at least; cells of a layer that are placed close. */
  const FULL = 100;
  const CLOSE = 120;

  /** Width of the picture over its height, and how much larger discs are at most where there is room. */
  const SHAPE = 1.4;
  const LARGER = 2.2;

  /** Cells that are shown at first, at most, if fewer samples a cell may be left out. */
  const MOST_AT_START = 600;

  /**
   * Return the cells and edges of a report; null if it has none.
   * @param {object} report
   */
  graph.cells = function (report) {
    const section = graph.section(report, "activation");
    const browser = section && section.browser;
    if (!browser || !browser.nodes.length) return null;
    const cells = browser.nodes.map(([layer, key, count, labels, samples], i) => ({
      id: `c${i}`,
      index: i,
      layer,
      key,
      count,
      samples: samples || [],
      ...judged(labels),
      before: [],
      after: [],
    }));
    const edges = browser.edges.map(([from, to, count], i) => ({ id: `e${i}`, from, to, count }));
    for (const edge of edges) {
      cells[edge.from].after.push(edge);
      cells[edge.to].before.push(edge);
    }
    const labels = [...new Set(cells.flatMap((cell) => cell.labels.map(([label]) => label)))].sort(natural);
    return {
      layers: browser.layers,
      cells,
      edges,
      labels,
      leftOut: browser.left_out || 0,
      byId: new Map(cells.map((cell) => [cell.id, cell])),
      largest: Math.max(...cells.map((cell) => cell.count)),
    };
  };

  const natural = (p, q) => Number(p) - Number(q) || (p < q ? -1 : p > q ? 1 : 0);

  function judged(labels) {
    const rows = Object.entries(labels || {}).sort((p, q) => q[1] - p[1] || natural(p[0], q[0]));
    return { labels: rows, main: rows.length ? rows[0][0] : null };
  }

  /** Return the filter that a graph starts with: all cells, or if these are many those of more samples. */
  graph.firstFilter = function (model) {
    const filter = { least: 1, label: "", from: 0, to: model.layers.length - 1 };
    if (model.cells.length <= MOST_AT_START) return filter;
    const counts = model.cells.map((cell) => cell.count).sort((p, q) => q - p);
    const least = counts[MOST_AT_START] + 1;
    return counts.filter((count) => count >= least).length >= 30 ? { ...filter, least } : filter;
  };

  /** Return the cells and edges that pass a filter. */
  graph.filtered = function (model, { least, label, from, to }) {
    const has = (cell) => label === "" || cell.labels.some(([name]) => name === label);
    const cells = model.cells.filter(
      (cell) => cell.count >= least && cell.layer >= from && cell.layer <= to && has(cell),
    );
    const kept = new Set(cells.map((cell) => cell.index));
    return { cells, edges: model.edges.filter((edge) => kept.has(edge.from) && kept.has(edge.to)) };
  };

  /**
   * Place cells in a column per layer: by main label, then by where their samples come from.
   * @param {object} model
   * @param {{cells: object[]}} shown
   * @returns {{at: Map, radius: Function, columns: object[]}}
   */
  graph.columns = function (model, shown) {
    const radius = (cell) => RADII[0] + (RADII[1] - RADII[0]) * Math.sqrt(cell.count / Math.max(FULL, model.largest));
    const gap = (layer) => (layers.get(layer).length > CLOSE ? 1 : 4);
    const layers = new Map();
    for (const cell of shown.cells) {
      if (!layers.has(cell.layer)) layers.set(cell.layer, []);
      layers.get(cell.layer).push(cell);
    }
    const order = [...layers.keys()].sort((p, q) => p - q);
    const place = new Map();
    for (const layer of order) arrange(layers.get(layer), place);
    const heights = order.map((layer) =>
      layers.get(layer).reduce((sum, cell) => sum + 2 * radius(cell) + gap(layer), 0),
    );
    const stacked = Math.max(...heights);
    const stride = Math.max(160, Math.min(stacked, (SHAPE * stacked) / order.length));
    // few cells in many layers: apart, and larger, so that the picture is no thin band
    const grown = Math.min(8, Math.max(1, (stride * order.length) / (SHAPE * stacked)));
    const at = new Map();
    const columns = order.map((layer, k) => {
      let top = -heights[k] / 2;
      for (const cell of layers.get(layer)) {
        const r = radius(cell);
        at.set(cell.id, { x: k * stride, y: grown * (top + r) });
        top += 2 * r + gap(layer);
      }
      return { layer, x: k * stride, count: layers.get(layer).length, stride };
    });
    const larger = Math.min(grown, LARGER);
    return { at, radius: (cell) => larger * radius(cell), columns, tallest: grown * stacked };
  };

  function arrange(cells, place) {
    const coming = (cell) => {
      const known = cell.before.filter((edge) => place.has(edge.from));
      const weight = known.reduce((sum, edge) => sum + edge.count, 0);
      return weight ? known.reduce((sum, edge) => sum + edge.count * place.get(edge.from), 0) / weight : 0.5;
    };
    const wanted = new Map(cells.map((cell) => [cell, coming(cell)]));
    cells.sort(
      (p, q) => compare(p.main, q.main) || wanted.get(p) - wanted.get(q) || q.count - p.count || p.index - q.index,
    );
    cells.forEach((cell, i) => place.set(cell.index, (i + 0.5) / cells.length));
  }

  const compare = (p, q) => (p === null || q === null ? 0 : natural(p, q));

  /**
   * Return the edges from which a cell is reached, and which are reached from it.
   * @param {object} model
   * @param {object} cell
   * @param {Set<string>} visible ids of edges
   */
  graph.through = function (model, cell, visible) {
    const found = new Set();
    const follow = (key, end) => {
      const stack = [cell];
      const seen = new Set(stack);
      while (stack.length) {
        for (const edge of stack.pop()[key]) {
          if (!visible.has(edge.id)) continue;
          found.add(edge.id);
          const next = model.cells[edge[end]];
          if (!seen.has(next)) seen.add(next) && stack.push(next);
        }
      }
    };
    follow("after", "to");
    follow("before", "from");
    return found;
  };

  /** Return the cells that list a sample, and the edges between them. */
  graph.sampleCells = function (model, sample) {
    const cells = model.cells.filter((cell) => cell.samples.includes(sample));
    const held = new Set(cells.map((cell) => cell.index));
    return { cells, edges: model.edges.filter((edge) => held.has(edge.from) && held.has(edge.to)) };
  };
})();
