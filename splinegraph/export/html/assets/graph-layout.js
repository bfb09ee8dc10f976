"use strict";
/* Places an operator graph module by module: an open module is a box that is as large as what is in it. Edges
 * that leave a module run through ports at its top and bottom, so that they keep clear of the operators inside. */
(function () {
  const graph = (splinegraph.graph = splinegraph.graph || {});

  const PADDING = 14;
  const HEADER = 22;
  const TALLEST = 760;

  /** Visible items up to which dagre places them. */
  graph.MOST_BY_DAGRE = 300;

  /**
   * Return where everything is.
   * @param {object} tree
   * @param {{items: object[], boxes: object[], edges: object[]}} visible
   * @param {(item: object) => {w: number, h: number}} size of an operator or closed module
   * @returns {{at: Map, routes: Map, boxes: Map, fast: boolean}} centres of items, points of edges by their id
   */
  graph.place = function (tree, visible, size) {
    const fast = visible.items.length > graph.MOST_BY_DAGRE || !window.dagre;
    const state = {
      fast,
      size,
      open: new Set(visible.boxes.map((box) => box.id)),
      levels: new Map(),
      placed: new Map(),
    };
    const pieces = new Map(visible.edges.map((edge) => [edge.id, pieced(tree, edge, state)]));
    const root = inside(tree.root, state);
    const at = new Map();
    const boxes = new Map();
    settle(tree.root, { x: 0, y: 0 }, root, state, at, boxes);
    const routes = new Map();
    if (!fast) for (const [id, parts] of pieces) routes.set(id, route(parts, state, boxes));
    return { at, routes, boxes, fast };
  };

  /* The steps of an edge: out of modules around its source, across their common module, into those of its target. */
  function pieced(tree, edge, state) {
    const [source, target] = [tree.byId.get(edge.source), tree.byId.get(edge.target)];
    const up = [source, ...graph.around(source)];
    const down = [target, ...graph.around(target)];
    while (up.length > 1 && down.length > 1 && up[up.length - 1] === down[down.length - 1]) {
      up.pop();
      down.pop();
    }
    const parts = [];
    if (!state.fast) for (let k = 1; k < up.length; k += 1) parts.push([up[k].id, up[k - 1].id, `out ${source.id}`]);
    const holder = up[up.length - 1].parent.id;
    parts.push([holder, up[up.length - 1].id, down[down.length - 1].id]);
    if (!state.fast)
      for (let k = down.length - 1; k > 0; k -= 1) parts.push([down[k].id, `in ${source.id}`, down[k - 1].id]);
    for (const [group, a, b] of parts) {
      if (!state.levels.has(group)) state.levels.set(group, new Map());
      state.levels.get(group).set(`${a}>${b}`, [a, b]);
    }
    return parts;
  }

  /* Place what is in a group, around (0, 0) as its top left; return the size of its box. */
  function inside(group, state) {
    const nodes = group.children.map((child) => {
      const open = child.children && state.open.has(child.id);
      return { id: child.id, ...(open ? inside(child, state) : state.size(child)) };
    });
    const edges = [...(state.levels.get(group.id) || new Map()).values()];
    const port = (id) => ({ id, w: 1, h: 1 });
    const entries = new Set(edges.map(([a]) => a).filter((a) => a.startsWith("in ")));
    const exits = new Set(edges.map(([, b]) => b).filter((b) => b.startsWith("out ")));
    const all = [...[...entries].map(port), ...nodes, ...[...exits].map(port)];
    const placed = state.fast ? graph.bySweeps(all, edges) : graph.byDagre(all, edges);
    graph.fold(all, placed, TALLEST);
    return trimmed(group, nodes, placed, state);
  }

  function trimmed(group, nodes, placed, state) {
    const sides = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
    for (const node of nodes) {
      const { x, y } = placed.at.get(node.id);
      sides.left = Math.min(sides.left, x - node.w / 2);
      sides.right = Math.max(sides.right, x + node.w / 2);
      sides.top = Math.min(sides.top, y - node.h / 2);
      sides.bottom = Math.max(sides.bottom, y + node.h / 2);
    }
    const w = sides.right - sides.left + 2 * PADDING;
    const h = sides.bottom - sides.top + 2 * PADDING + HEADER;
    const within = (y) => (group.depth ? Math.min(h, Math.max(0, y)) : y);
    const move = (point) => ({ x: point.x - sides.left + PADDING, y: within(point.y - sides.top + PADDING + HEADER) });
    for (const [id, point] of placed.at) placed.at.set(id, move(point));
    for (const [key, line] of placed.points) placed.points.set(key, line.map(move));
    state.placed.set(group.id, { ...placed, w, h });
    return { w, h };
  }

  function settle(group, corner, box, state, at, boxes) {
    boxes.set(group.id, { ...corner, w: box.w, h: box.h });
    const placed = state.placed.get(group.id);
    for (const child of group.children) {
      const point = placed.at.get(child.id);
      const [x, y] = [corner.x + point.x, corner.y + point.y];
      const inner = child.children && state.open.has(child.id) ? state.placed.get(child.id) : null;
      if (inner) settle(child, { x: x - inner.w / 2, y: y - inner.h / 2 }, inner, state, at, boxes);
      else at.set(child.id, { x, y });
    }
  }

  function route(parts, state, boxes) {
    const points = [];
    for (const [group, a, b] of parts) {
      const corner = boxes.get(group);
      const line = state.placed.get(group).points.get(`${a}>${b}`) || [];
      const port = (id) => id.startsWith("in ") || id.startsWith("out ");
      const inner = line.slice(port(a) ? 0 : 1, port(b) ? line.length : -1);
      points.push(...inner.map(({ x, y }) => ({ x: x + corner.x, y: y + corner.y })));
    }
    return straightened(points);
  }

  /* Leave out points that are (nearly) on the line between their neighbors. */
  function straightened(points) {
    const kept = [];
    points.forEach((point, i) => {
      const last = kept[kept.length - 1];
      const next = points[i + 1];
      if (last && Math.hypot(last.x - point.x, last.y - point.y) < 2) return;
      if (last && next) {
        const length = Math.hypot(next.x - last.x, next.y - last.y);
        const cross = (next.x - last.x) * (point.y - last.y) - (next.y - last.y) * (point.x - last.x);
        const between = (point.x - last.x) * (next.x - point.x) + (point.y - last.y) * (next.y - point.y) >= 0;
        if (between && Math.abs(cross) < 1.5 * length) return;
      }
      kept.push(point);
    });
    return kept;
  }
})();
