"use strict";
/* Places the children of one module in layers, from top to bottom: by dagre, or if they are many by our own sweeps. */
(function () {
  const graph = (splinegraph.graph = splinegraph.graph || {});

  const GAP = 22;
  const RANK_GAP = 32;
  const WIDEST_LAYER = 24;

  /** Edges that may run from one column to the next. */
  const MOST_CUT = 3;

  /**
   * Place nodes by dagre, with points of the edges.
   * @param {{id: string, w: number, h: number}[]} nodes
   * @param {[string, string][]} edges
   * @returns {{at: Map, points: Map}} centres by id, points by "source>target"
   */
  graph.byDagre = function (nodes, edges) {
    const made = new window.dagre.graphlib.Graph();
    made.setGraph({ rankdir: "TB", nodesep: GAP, ranksep: RANK_GAP, edgesep: 16 });
    for (const node of nodes) made.setNode(node.id, { width: node.w, height: node.h });
    for (const [a, b] of edges) made.setEdge(a, b, { weight: a.startsWith("in ") || b.startsWith("out ") ? 1 : 4 });
    window.dagre.layout(made);
    const at = new Map(nodes.map((node) => [node.id, { x: made.node(node.id).x, y: made.node(node.id).y }]));
    const points = new Map();
    for (const [a, b] of edges) {
      const found = made.edge(a, b).points;
      points.set(
        `${a}>${b}`,
        found.map(({ x, y }) => ({ x, y })),
      );
    }
    return { at, points };
  };

  /**
   * Place nodes in layers by longest paths, ordered by means of their neighbors. Edges against the order of
   * `nodes` are ignored, so that cycles between closed modules do no harm. Time is linear in nodes and edges.
   * @param {{id: string, w: number, h: number}[]} nodes
   * @param {[string, string][]} edges
   * @returns {{at: Map, points: Map}}
   */
  graph.bySweeps = function (nodes, edges) {
    const index = new Map(nodes.map((node, i) => [node.id, i]));
    const forward = edges.map(([a, b]) => [index.get(a), index.get(b)]).filter(([i, j]) => i < j);
    forward.sort((p, q) => p[1] - q[1]);
    const rank = new Array(nodes.length).fill(0);
    for (const [i, j] of forward) rank[j] = Math.max(rank[j], rank[i] + 1);
    const layers = [];
    nodes.forEach((_, i) => (layers[rank[i]] = layers[rank[i]] || []).push(i));
    graph.sweep(layers, forward, 4);
    return { at: stacked(nodes, layers), points: new Map() };
  };

  /**
   * Order each layer by the mean place of its neighbors in the layers before, then after, some times.
   * @param {number[][]} layers changed in place
   * @param {[number, number][]} edges
   * @param {number} times
   */
  graph.sweep = function (layers, edges, times) {
    const count = layers.reduce((sum, layer) => sum + layer.length, 0);
    const before = Array.from({ length: count }, () => []);
    const after = Array.from({ length: count }, () => []);
    for (const [i, j] of edges) {
      before[j].push(i);
      after[i].push(j);
    }
    const place = new Array(count).fill(0);
    const note = (layer) => layer.forEach((i, k) => (place[i] = (k + 0.5) / layer.length));
    layers.forEach(note);
    const order = (layer, neighbors) => {
      const mean = (i) => neighbors[i].reduce((sum, j) => sum + place[j], 0) / neighbors[i].length;
      const wanted = new Map(layer.map((i) => [i, neighbors[i].length ? mean(i) : place[i]]));
      layer.sort((i, j) => wanted.get(i) - wanted.get(j) || i - j);
      note(layer);
    };
    for (let time = 0; time < times; time += 1) {
      layers.forEach((layer) => order(layer, before));
      for (let k = layers.length - 1; k >= 0; k -= 1) order(layers[k], after);
    }
    layers.forEach((layer) => order(layer, before));
  };

  function stacked(nodes, layers) {
    const at = new Map();
    let top = 0;
    for (const layer of layers) {
      for (let k = 0; k < layer.length; k += WIDEST_LAYER) {
        const row = layer.slice(k, k + WIDEST_LAYER).map((i) => nodes[i]);
        const width = row.reduce((sum, node) => sum + node.w + GAP, -GAP);
        const height = Math.max(...row.map((node) => node.h));
        let left = -width / 2;
        for (const node of row) {
          at.set(node.id, { x: left + node.w / 2, y: top + height / 2 });
          left += node.w + GAP;
        }
        top += height + RANK_GAP;
      }
    }
    return at;
  }

  /**
   * Fold a tall layout into columns, which are read like those of a newspaper. Cuts are between rows, where few
   * edges cross; edges that cross a cut go through the gap between the columns.
   * @param {{id: string, w: number, h: number}[]} nodes
   * @param {{at: Map, points: Map}} placed changed in place
   * @param {number} tallest height up to which nothing is folded
   */
  graph.fold = function (nodes, placed, tallest) {
    const rows = rowsOf(nodes, placed.at);
    const bottom = rows[rows.length - 1].bottom;
    if (rows.some((row) => row.bottom - row.top > 0.6 * bottom)) return;
    const boxes = nodes.map((node) => [placed.at.get(node.id).x - node.w / 2, placed.at.get(node.id).x + node.w / 2]);
    const width = Math.max(...boxes.map((b) => b[1])) - Math.min(...boxes.map((b) => b[0]));
    const columns = Math.min(Math.floor(Math.sqrt((1.3 * bottom) / (width + 60))), Math.ceil(rows.length / 2));
    if (bottom <= tallest || columns < 2) return;
    const cuts = cutsOf(rows, bottom / columns, placed.points);
    if (cuts.length) shift(nodes, placed, cuts, width + 70);
  };

  function rowsOf(nodes, at) {
    const sorted = [...nodes].sort((p, q) => at.get(p.id).y - p.h / 2 - (at.get(q.id).y - q.h / 2));
    const rows = [];
    for (const node of sorted) {
      const [top, bottom] = [at.get(node.id).y - node.h / 2, at.get(node.id).y + node.h / 2];
      const last = rows[rows.length - 1];
      if (last && top < last.bottom) last.bottom = Math.max(last.bottom, bottom);
      else rows.push({ top, bottom });
    }
    return rows;
  }

  function cutsOf(rows, height, points) {
    const spans = [...points.values()].map((line) => [line[0].y, line[line.length - 1].y]);
    const crossing = (y) => spans.filter(([a, b]) => Math.min(a, b) < y && y < Math.max(a, b)).length;
    const cuts = [];
    let start = rows[0].top;
    const places = rows.slice(1).map((row, k) => (rows[k].bottom + row.top) / 2);
    const end = rows[rows.length - 1].bottom;
    while (end - start > 1.25 * height && cuts.length < 40) {
      const near = places.filter(
        (y) => y > start + 0.6 * height && y < start + 1.15 * height && crossing(y) <= MOST_CUT,
      );
      if (!near.length) near.push(...places.filter((y) => y > start + height && crossing(y) <= MOST_CUT).slice(0, 1));
      if (!near.length) break;
      const cost = (y) => 3 * crossing(y) + (4 * Math.abs(y - start - height)) / height;
      start = near.reduce((best, y) => (cost(y) < cost(best) ? y : best));
      cuts.push(start);
    }
    return cuts;
  }

  function shift(nodes, placed, cuts, stride) {
    const column = (y) => cuts.filter((cut) => cut < y).length;
    const top = Math.min(...nodes.map((node) => placed.at.get(node.id).y - node.h / 2));
    const start = (k) => (k ? cuts[k - 1] + RANK_GAP / 2 : top);
    const moved = ({ x, y }, k = column(y)) => ({ x: x + k * stride, y: y - start(k) });
    const edges = nodes.map((node) => placed.at.get(node.id).x + node.w / 2);
    const right = Math.max(...edges) + 35;
    for (const [id, point] of placed.at) placed.at.set(id, moved(point));
    for (const [key, line] of placed.points) placed.points.set(key, folded(line, column, moved, cuts, right));
  }

  /* Points of an edge across cuts: to the end of its column, up between the columns, and on. */
  function folded(line, column, moved, cuts, right) {
    const found = [moved(line[0])];
    for (let i = 1; i < line.length; i += 1) {
      const [from, to] = [column(line[i - 1].y), column(line[i].y)];
      for (let k = from; k < to; k += 1) {
        const share = (cuts[k] - line[i - 1].y) / (line[i].y - line[i - 1].y);
        const x = line[i - 1].x + share * (line[i].x - line[i - 1].x);
        const low = moved({ x, y: cuts[k] }, k);
        const lane = moved({ x: right, y: cuts[k] }, k);
        const high = moved({ x: right, y: cuts[k] }, k + 1);
        found.push(low, { x: lane.x, y: low.y }, { x: lane.x, y: high.y }, moved({ x, y: cuts[k] }, k + 1));
      }
      found.push(moved(line[i]));
    }
    return found;
  }
})();
