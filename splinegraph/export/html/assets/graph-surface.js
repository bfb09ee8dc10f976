"use strict";
/* Two surfaces that show a scene (see graph-paint.js) and say what is clicked: cytoscape for some hundred nodes, and
 * a canvas of our own for thousands, which cytoscape takes seconds for. Both have
 *   element, set(scene), mark(marked), look(view), view(), active(on), resize(), theme(theme)
 * and call on.tap(id or null), on.open(id), on.moved(). While one is not active, wheel and finger scroll the page.
 */
(function () {
  const graph = (splinegraph.graph = splinegraph.graph || {});

  /** Parts of a scene from which on a painted surface moves its last picture and paints anew when it rests. */
  const MANY = 1500;

  // cytoscape

  function sheet(theme) {
    return [
      {
        selector: "node",
        style: {
          label: "data(label)",
          "font-size": 11,
          "font-family": "system-ui, sans-serif",
          color: theme.ink,
          "line-height": 1.15,
          "text-wrap": "wrap",
          "text-valign": "center",
          "text-halign": "center",
          "min-zoomed-font-size": 5,
          width: "data(w)",
          height: "data(h)",
          shape: "polygon",
          "shape-polygon-points": "data(polygon)",
          "z-index-compare": "manual",
          "z-index": 200,
          "background-color": "data(fill)",
          "border-width": 1.5,
          "border-color": "data(rim)",
        },
      },
      { selector: "node.round", style: { shape: "ellipse" } },
      { selector: "node.dashed", style: { "border-style": "dashed" } },
      { selector: "node.double", style: { shape: "round-rectangle", "border-width": 4, "border-style": "double" } },
      {
        selector: "node.box",
        style: {
          shape: "round-rectangle",
          "text-valign": "top",
          "text-margin-y": 20,
          "text-margin-x": "data(left)",
          color: theme.muted,
          "z-index": "data(depth)",
          "background-color": theme.panel || theme.paper,
          "background-opacity": 0.55,
          "border-width": 1,
          "border-color": theme.line,
        },
      },
      {
        selector: "edge",
        style: {
          width: "data(width)",
          events: "no",
          "z-index-compare": "manual",
          "z-index": 100,
          "line-color": theme.muted,
          "line-opacity": 0.75,
          "curve-style": "bezier",
          "target-arrow-color": theme.muted,
          "target-arrow-shape": "triangle",
          "arrow-scale": 0.75,
        },
      },
      {
        selector: "edge.routed",
        style: {
          "curve-style": "round-segments",
          "segment-distances": "data(distances)",
          "segment-weights": "data(weights)",
          "edge-distances": "node-position",
          "segment-radii": 12,
        },
      },
      { selector: "node.chosen", style: { "border-width": 4, "border-style": "solid", "border-color": theme.accent } },
      {
        selector: "edge.chosen",
        style: {
          "line-color": theme.accent,
          "target-arrow-color": theme.accent,
          "line-opacity": 1,
          width: 2.6,
          "z-index": 101,
        },
      },
    ];
  }

  /** Return a surface of cytoscape's in an element that is on the page. */
  graph.cytoscapeSurface = function (element, theme, on) {
    const cy = window.cytoscape({
      container: element,
      style: sheet(theme),
      minZoom: graph.ZOOMS[0],
      maxZoom: graph.ZOOMS[1],
      boxSelectionEnabled: false,
      autoungrabify: true,
      userZoomingEnabled: false,
      userPanningEnabled: false,
    });
    cy.on("tap", (event) => on.tap(event.target === cy || event.target.isEdge() ? null : event.target.id()));
    cy.on("dbltap", "node", (event) => on.open(event.target.id()));
    cy.on("dragpan scrollzoom pinchzoom", () => on.moved());
    return {
      element,
      set: (scene) =>
        cy.batch(() => {
          cy.elements().remove();
          cy.add([...scene.nodes.map(asNode), ...scene.edges.map((edge) => asEdge(edge, scene))]);
        }),
      mark: ({ nodes, edges }) =>
        cy.batch(() => {
          cy.elements(".chosen").removeClass("chosen");
          for (const id of [...nodes, ...edges]) cy.getElementById(id).addClass("chosen");
        }),
      look: ({ zoom, x, y }) => cy.viewport({ zoom, pan: { x, y } }),
      view: () => ({ zoom: cy.zoom(), ...cy.pan() }),
      active: (on) => cy.userZoomingEnabled(on).userPanningEnabled(on),
      resize: () => cy.resize(),
      theme: (colors) => cy.style(sheet(colors)),
    };
  };

  function asNode(node) {
    const polygon = (node.corners || "0,0 1,0 1,1 0,1")
      .split(/[ ,]/)
      .map((c) => 2 * Number(c) - 1)
      .join(" ");
    const left = node.box ? Math.min(0, (graph.textWidth(node.lines[0]) - node.w) / 2 + 8) : 0;
    const classes = [
      node.box && "box",
      node.double && "double",
      node.dashed && "dashed",
      node.corners === "" && "round",
    ];
    return {
      group: "nodes",
      data: { ...node, label: node.lines.join("\n"), polygon, left },
      position: { x: node.x, y: node.y },
      pannable: true, // a drag that begins on a node moves the picture, too
      classes: classes.filter(Boolean),
    };
  }

  function asEdge(edge, scene) {
    const bends = edge.points.length
      ? bendsOf(scene.byId.get(edge.source), scene.byId.get(edge.target), edge.points)
      : {};
    const { id, source, target, width } = edge;
    return {
      group: "edges",
      data: { id, source, target, width, ...bends },
      classes: edge.points.length ? ["routed"] : [],
    };
  }

  /* Cytoscape wants weights along the line between the ends, and distances from it. */
  function bendsOf(from, to, points) {
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const square = dx * dx + dy * dy || 1;
    const weights = points.map((p) => ((p.x - from.x) * dx + (p.y - from.y) * dy) / square);
    const distances = points.map((p) => (-(p.x - from.x) * dy + (p.y - from.y) * dx) / Math.sqrt(square));
    const text = (values) => values.map((v) => v.toFixed(4)).join(" ");
    return { weights: text(weights), distances: text(distances) };
  }

  // painted

  /** Return a painted surface in an element that is on the page. */
  graph.paintedSurface = function (element, theme, on) {
    const canvas = document.createElement("canvas");
    element.append(canvas);
    const own = {
      canvas,
      theme,
      on,
      scene: { nodes: [], edges: [], byId: new Map() },
      marked: { nodes: new Set(), edges: new Set() },
      view: { zoom: 1, x: 0, y: 0 },
      kept: null,
      active: false,
      asked: 0,
      timer: 0,
      fingers: new Map(),
    };
    sized(own);
    pointers(own);
    const again = () => {
      own.kept = null;
      ask(own);
    };
    return {
      element,
      set: (scene) => {
        own.scene = scene;
        again();
      },
      mark: (marked) => {
        own.marked = marked;
        again();
      },
      look: (view) => {
        own.view = { ...view };
        ask(own);
      },
      view: () => ({ ...own.view }),
      active: (enabled) => {
        own.active = enabled;
      },
      resize: () => {
        sized(own);
        again();
      },
      theme: (colors) => {
        own.theme = colors;
        again();
      },
    };
  };

  function sized(own) {
    const { clientWidth: width, clientHeight: height } = own.canvas.parentElement;
    own.frame = { width, height, ratio: window.devicePixelRatio || 1 };
    own.canvas.width = Math.max(1, Math.round(width * own.frame.ratio));
    own.canvas.height = Math.max(1, Math.round(height * own.frame.ratio));
  }

  function ask(own) {
    if (own.asked) return;
    own.asked = requestAnimationFrame(() => {
      own.asked = 0;
      if (!many(own) || !own.kept) whole(own);
      else shifted(own);
    });
  }

  function many({ scene }) {
    const slices = scene.nodes.reduce((sum, node) => sum + (node.pie ? node.pie.length : 1), 0);
    return slices + scene.edges.length > MANY;
  }

  function whole(own) {
    clearTimeout(own.timer);
    graph.paint(own.canvas.getContext("2d"), own.scene, own.view, {
      ...own.frame,
      theme: own.theme,
      marked: own.marked,
    });
    if (!many(own)) return;
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [own.canvas.width, own.canvas.height];
    copy.getContext("2d").drawImage(own.canvas, 0, 0);
    own.kept = { copy, view: { ...own.view } };
  }

  /* Show the last picture where it is now, and paint anew after a moment of rest. */
  function shifted(own) {
    const pen = own.canvas.getContext("2d");
    const { copy, view } = own.kept;
    const scale = own.view.zoom / view.zoom;
    const ratio = own.frame.ratio;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.fillStyle = own.theme.paper;
    pen.fillRect(0, 0, own.canvas.width, own.canvas.height);
    pen.drawImage(
      copy,
      (own.view.x - scale * view.x) * ratio,
      (own.view.y - scale * view.y) * ratio,
      copy.width * scale,
      copy.height * scale,
    );
    clearTimeout(own.timer);
    own.timer = setTimeout(() => {
      own.kept = null;
      ask(own);
    }, 90);
  }

  function hit(own, event) {
    const box = own.canvas.getBoundingClientRect();
    const { zoom, x, y } = own.view;
    const at = { x: (event.clientX - box.left - x) / zoom, y: (event.clientY - box.top - y) / zoom };
    const slack = 3 / zoom;
    let found = null;
    for (const node of own.scene.nodes) {
      const inside = Math.abs(at.x - node.x) <= node.w / 2 + slack && Math.abs(at.y - node.y) <= node.h / 2 + slack;
      if (inside && (!found || node.w * node.h <= found.w * found.h)) found = node;
    }
    return found ? found.id : null;
  }

  function zoomed(own, event, factor) {
    const box = own.canvas.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    const zoom = Math.min(graph.ZOOMS[1], Math.max(graph.ZOOMS[0], own.view.zoom * factor));
    const ratio = zoom / own.view.zoom;
    own.view = { zoom, x: px - ratio * (px - own.view.x), y: py - ratio * (py - own.view.y) };
    own.on.moved();
    ask(own);
  }

  function pointers(own) {
    const { canvas, fingers } = own;
    let travel = 0;
    canvas.addEventListener("pointerdown", (event) => {
      fingers.set(event.pointerId, event);
      travel = 0;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const last = fingers.get(event.pointerId);
      if (!last) return;
      const [dx, dy] = [event.clientX - last.clientX, event.clientY - last.clientY];
      travel += Math.abs(dx) + Math.abs(dy);
      if (fingers.size === 2) pinched(own, last, event);
      else if (travel > 4 && own.active) {
        own.view = { ...own.view, x: own.view.x + dx, y: own.view.y + dy };
        own.on.moved();
        ask(own);
      }
      fingers.set(event.pointerId, event);
    });
    canvas.addEventListener("pointerup", (event) => {
      if (fingers.size === 1 && travel <= 4) own.on.tap(hit(own, event));
      fingers.delete(event.pointerId);
    });
    canvas.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
    canvas.addEventListener("dblclick", (event) => own.on.open(hit(own, event)));
    canvas.addEventListener(
      "wheel",
      (event) => {
        if (!own.active && !event.ctrlKey) return;
        event.preventDefault();
        zoomed(own, event, Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)));
      },
      { passive: false },
    );
  }

  function pinched(own, last, event) {
    const other = [...own.fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
    const apart = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY) || 1;
    zoomed(own, other, apart(event) / apart(last));
  }
})();
