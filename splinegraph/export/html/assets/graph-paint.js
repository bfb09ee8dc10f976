"use strict";
/* Paints a scene on a canvas: boxes, edges, nodes, in this order. A scene is plain data:
 *   nodes: {id, x, y, w, h, fill, rim, lines, corners, box, dashed, double, pie, title}
 *     corners are those of a polygon in a unit box, "" for an ellipse; box marks an open module; pie is a list of
 *     [color, share]; title marks texts in a row, of the same size at every zoom, of which so many are shown as have
 *     room
 *   edges: {id, source, target, points, width, color}; color is the theme's for edges if there is none
 *   byId: nodes by id; arrows: whether edges have heads
 */
(function () {
  const graph = (splinegraph.graph = splinegraph.graph || {});

  const FONT = 11;
  const LEGIBLE = 5;
  const ROUND = 12;
  const STEP = 1.2;

  /**
   * Paint what of a scene is in a rectangle of the canvas.
   * @param {CanvasRenderingContext2D} pen
   * @param {object} scene
   * @param {{zoom: number, x: number, y: number}} view as in: on the canvas = in the scene * zoom + (x, y)
   * @param {{width: number, height: number, ratio: number, theme: object, marked: {nodes: Set, edges: Set},
   *   title?: number}} frame
   */
  graph.paint = function (pen, scene, view, frame) {
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.fillStyle = frame.theme.paper;
    pen.fillRect(0, 0, frame.width * frame.ratio, frame.height * frame.ratio);
    const scale = view.zoom * frame.ratio;
    pen.setTransform(scale, 0, 0, scale, view.x * frame.ratio, view.y * frame.ratio);
    const seen = {
      left: -view.x / view.zoom,
      right: (frame.width - view.x) / view.zoom,
      top: -view.y / view.zoom,
      bottom: (frame.height - view.y) / view.zoom,
    };
    const near = scene.nodes.filter(
      (n) =>
        n.x + n.w / 2 > seen.left &&
        n.x - n.w / 2 < seen.right &&
        n.y + n.h / 2 > seen.top &&
        n.y - n.h / 2 < seen.bottom,
    );
    const text = FONT * view.zoom >= LEGIBLE;
    for (const node of near) if (node.box) paintBox(pen, node, frame, view.zoom, text);
    paintEdges(pen, scene, seen, frame, view.zoom);
    for (const node of near) if (!node.box && !node.title) paintNode(pen, node, frame, view.zoom, text);
    paintTitles(pen, scene, frame, view.zoom);
  };

  function paintBox(pen, node, frame, zoom, text) {
    const chosen = frame.marked.nodes.has(node.id);
    pen.globalAlpha = 0.55;
    pen.fillStyle = frame.theme.panel || frame.theme.paper;
    rounded(pen, node);
    pen.fill();
    pen.globalAlpha = 1;
    pen.strokeStyle = chosen ? frame.theme.accent : frame.theme.line;
    pen.lineWidth = (chosen ? 2.5 : 1) / Math.max(zoom, 0.3);
    pen.stroke();
    if (!text) return;
    pen.fillStyle = frame.theme.muted;
    pen.font = `${FONT}px system-ui, sans-serif`;
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    pen.fillText(node.lines[0], node.x - node.w / 2 + 8, node.y - node.h / 2 + 13, Math.max(10, node.w - 12));
  }

  function rounded(pen, node) {
    pen.beginPath();
    pen.roundRect(node.x - node.w / 2, node.y - node.h / 2, node.w, node.h, 8);
  }

  /* Edges of one width and color are one path: thousands of strokes would take seconds. */
  function paintEdges(pen, scene, seen, frame, zoom) {
    const { theme, marked } = frame;
    const paths = new Map();
    const chosen = [];
    for (const edge of scene.edges) {
      const [a, b] = [scene.byId.get(edge.source), scene.byId.get(edge.target)];
      if (!a || !b || hidden(edge, a, b, seen)) continue;
      const key = `${edge.width} ${edge.color || theme.muted}`;
      if (marked.edges.has(edge.id)) chosen.push([edge, a, b]);
      else if (paths.has(key)) paths.get(key).push([edge, a, b]);
      else paths.set(key, [[edge, a, b]]);
    }
    const drawn = scene.edges.length;
    const strength = (marked.edges.size ? 0.35 : 0.75) * (drawn > 3000 ? 0.35 : drawn > 600 ? 0.6 : 1);
    for (const list of paths.values())
      stroke(pen, list, list[0][0].color || theme.muted, list[0][0].width, scene, zoom, strength);
    if (chosen.length) stroke(pen, chosen, theme.accent, 2.4, scene, zoom, 1);
  }

  function hidden(edge, a, b, seen) {
    if (edge.points.length) return false;
    return (
      Math.max(a.x, b.x) < seen.left ||
      Math.min(a.x, b.x) > seen.right ||
      Math.max(a.y, b.y) < seen.top ||
      Math.min(a.y, b.y) > seen.bottom
    );
  }

  function stroke(pen, list, color, width, scene, zoom, alpha) {
    pen.globalAlpha = alpha;
    pen.strokeStyle = pen.fillStyle = color;
    pen.lineWidth = Math.max(width, 0.5 / zoom);
    pen.beginPath();
    for (const [edge, a, b] of list) trace(pen, edge, a, b, scene);
    pen.stroke();
    if (scene.arrows && zoom > 0.25) {
      pen.beginPath();
      for (const [edge, a, b] of list) head(pen, edge, a, b);
      pen.fill();
    }
    pen.globalAlpha = 1;
  }

  function trace(pen, edge, a, b, scene) {
    pen.moveTo(a.x, a.y);
    const end = scene.arrows ? border(b, edge.points[edge.points.length - 1] || a) : b;
    const points = [...edge.points, end];
    for (let i = 0; i + 1 < points.length; i += 1) {
      pen.arcTo(points[i].x, points[i].y, points[i + 1].x, points[i + 1].y, ROUND);
    }
    pen.lineTo(end.x, end.y);
  }

  /* Where the line from a point to a node's middle meets the node. */
  function border(node, from) {
    const [dx, dy] = [from.x - node.x, from.y - node.y];
    const share = Math.min(node.w / 2 / Math.max(Math.abs(dx), 1e-9), node.h / 2 / Math.max(Math.abs(dy), 1e-9), 1);
    return { x: node.x + share * dx, y: node.y + share * dy };
  }

  function head(pen, edge, a, b) {
    const from = edge.points[edge.points.length - 1] || a;
    const tip = border(b, from);
    const length = Math.hypot(tip.x - from.x, tip.y - from.y) || 1;
    const [ux, uy] = [(tip.x - from.x) / length, (tip.y - from.y) / length];
    pen.moveTo(tip.x, tip.y);
    pen.lineTo(tip.x - 7 * ux - 3.5 * uy, tip.y - 7 * uy + 3.5 * ux);
    pen.lineTo(tip.x - 7 * ux + 3.5 * uy, tip.y - 7 * uy - 3.5 * ux);
    pen.closePath();
  }

  function paintTitles(pen, scene, frame, zoom) {
    const size = Math.max(FONT, (frame.title || 12) / zoom);
    pen.font = `${size}px system-ui, sans-serif`;
    pen.fillStyle = frame.theme.muted;
    pen.textAlign = "center";
    pen.textBaseline = "bottom";
    for (const { lines, x, y } of graph.titles(scene, size)) {
      lines.forEach((line, i) => pen.fillText(line, x, y - (lines.length - 1 - i) * size * STEP));
    }
  }

  /** Return the titles that have room at a size of the font, all or every second, third, ..., and where they stand. */
  graph.titles = function (scene, size) {
    const titles = scene.nodes.filter((node) => node.title);
    if (!titles.length) return [];
    const broad = (node) => (Math.max(...node.lines.map(graph.textWidth)) * size) / FONT;
    const most = Math.max(...titles.map((node) => broad(node) / node.w));
    const every = most <= 1 ? 1 : Math.ceil(1.5 * most); // half of one more, since the first and the last move in
    const [first, last] = [titles[0], titles[titles.length - 1]];
    const [left, right] = [first.x - first.w / 2, last.x + last.w / 2];
    return titles
      .filter((_, place) => place % every === 0)
      .map((node) => {
        const half = broad(node) / 2;
        return { ...node, x: Math.max(left + half, Math.min(right - half, node.x)) };
      });
  };

  function paintNode(pen, node, frame, zoom, text) {
    const chosen = frame.marked.nodes.has(node.id);
    outline(pen, node);
    pen.fillStyle = node.fill;
    pen.fill();
    if (node.pie) slices(pen, node);
    pen.setLineDash(node.dashed ? [4, 3] : []);
    pen.strokeStyle = chosen ? frame.theme.accent : node.rim;
    pen.lineWidth =
      (chosen ? 4 : node.double ? 3 : 1.5) * (zoom < 0.3 && !chosen ? 0.7 : chosen ? Math.max(1, 0.5 / zoom) : 1);
    if (node.pie) outline(pen, node);
    pen.stroke();
    pen.setLineDash([]);
    if (!text || !node.lines.length) return;
    pen.fillStyle = frame.theme.ink;
    pen.font = `${FONT}px system-ui, sans-serif`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const step = FONT * 1.17;
    node.lines.forEach((line, i) => pen.fillText(line, node.x, node.y + (i - (node.lines.length - 1) / 2) * step));
  }

  function outline(pen, node) {
    pen.beginPath();
    if (node.corners === "") {
      pen.ellipse(node.x, node.y, node.w / 2, node.h / 2, 0, 0, 2 * Math.PI);
      return;
    }
    const [left, top] = [node.x - node.w / 2, node.y - node.h / 2];
    for (const [x, y] of corners(node.corners)) pen.lineTo(left + x * node.w, top + y * node.h);
    pen.closePath();
  }

  const parsed = new Map();

  function corners(text) {
    if (!parsed.has(text))
      parsed.set(
        text,
        text.split(" ").map((pair) => pair.split(",").map(Number)),
      );
    return parsed.get(text);
  }

  function slices(pen, node) {
    let from = -Math.PI / 2;
    for (const [color, share] of node.pie) {
      const to = from + 2 * Math.PI * share;
      pen.beginPath();
      pen.moveTo(node.x, node.y);
      pen.arc(node.x, node.y, node.w / 2, from, to);
      pen.fillStyle = color;
      pen.fill();
      from = to;
    }
  }

  /** Return the sides of a scene. */
  graph.sides = function (scene) {
    const sides = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
    const widen = (x, y, w, h) => {
      sides.left = Math.min(sides.left, x - w / 2);
      sides.right = Math.max(sides.right, x + w / 2);
      sides.top = Math.min(sides.top, y - h / 2);
      sides.bottom = Math.max(sides.bottom, y + h / 2);
    };
    for (const node of scene.nodes) widen(node.x, node.y, node.w, node.h);
    for (const edge of scene.edges) for (const point of edge.points) widen(point.x, point.y, 2, 2);
    return sides;
  };

  /**
   * Paint a whole scene on a canvas of its own size.
   * @param {HTMLCanvasElement} canvas
   * @param {object} scene
   * @param {object} theme
   * @param {number} scale pixels a unit, less if the picture would be larger than 4000 pixels
   * @param {{nodes: Set, edges: Set}} marked
   */
  graph.paintWhole = function (canvas, scene, theme, scale, marked) {
    const sides = graph.sides(scene);
    const w = sides.right - sides.left + 24;
    const first = scene.nodes.find((node) => node.title);
    const broad = Math.min(scale, 4000 / w);
    const size = Math.max(FONT, 12 / broad, w / 60); // of titles, as below
    if (first) sides.top = Math.min(sides.top, first.y - first.lines.length * STEP * size);
    const h = sides.bottom - sides.top + 24;
    const zoom = Math.min(broad, 4000 / h);
    canvas.width = Math.max(1, Math.round(w * zoom));
    canvas.height = Math.max(1, Math.round(h * zoom));
    const view = { zoom, x: (12 - sides.left) * zoom, y: (12 - sides.top) * zoom };
    const title = Math.max(12, canvas.width / 60); // legible where the picture is as wide as a page
    const frame = { width: canvas.width, height: canvas.height, ratio: 1, theme, marked, title };
    graph.paint(canvas.getContext("2d"), scene, view, frame);
  };
})();
