"use strict";
/* A place that a graph is shown in: moves and zooms by mouse, keys and buttons, follows the theme, prints. */
(function () {
  const graph = (splinegraph.graph = splinegraph.graph || {});

  const STEP = 1.25;
  const READABLE = 0.8;
  const MARGIN = 16;

  /** Least and largest zoom. */
  graph.ZOOMS = [0.004, 4];

  /** Parts of a scene up to which cytoscape shows it. */
  const MOST_BY_CYTOSCAPE = 900;

  /**
   * Make a canvas in a place that is on the page.
   * @param {Element} place
   * @param {object} tools
   * @param {object} options label for screen readers; scene(theme), what to show; keys(key), what other keys do, true
   *   if something; tap(id) and open(id); whole: whether it starts with all in sight; library: false to do without
   * @returns {object} with draw, mark, start, fit, zoom, show, pan, at, say, frame
   */
  graph.canvas = function (place, tools, options) {
    const { el } = tools;
    const box = el("div", {
      class: "graph-box",
      tabindex: "0",
      role: "application",
      "aria-roledescription": "graph",
      "aria-label": options.label,
    });
    const live = el("p", { class: "graph-live", "aria-live": "polite" });
    const print = el("canvas", { class: "graph-print", role: "img", "aria-label": options.label });
    place.append(box, print, live);
    const canvas = {
      tools,
      options,
      box,
      print,
      moved: false,
      scene: null,
      surfaces: new Map(),
      surface: null,
      marked: { nodes: new Set(), edges: new Set() },
      say: (text) => (live.textContent = text),
    };
    canvas.draw = () => draw(canvas);
    canvas.mark = (nodes, edges) => mark(canvas, nodes, edges);
    canvas.start = () => start(canvas);
    canvas.fit = () => fit(canvas);
    canvas.zoom = (factor) => zoom(canvas, factor);
    canvas.show = (id) => show(canvas, id);
    canvas.at = (id) => at(canvas, id);
    canvas.pan = (dx, dy) => pan(canvas, dx, dy);
    box.graphCanvas = canvas; // so that scripts, tests among them, can ask where a node is
    listen(canvas);
    return canvas;
  };

  function draw(canvas) {
    const theme = canvas.tools.theme();
    canvas.scene = canvas.options.scene(theme);
    const parts = canvas.scene.nodes.length + canvas.scene.edges.length;
    const library = canvas.options.library !== false && window.cytoscape && parts <= MOST_BY_CYTOSCAPE;
    use(canvas, library ? "cytoscape" : "painted", theme);
    canvas.surface.theme(theme);
    canvas.surface.set(canvas.scene);
    canvas.surface.mark(canvas.marked);
    canvas.box.dataset.surface = library ? "cytoscape" : "painted";
  }

  function use(canvas, name, theme) {
    const before = canvas.surface;
    if (!canvas.surfaces.has(name)) {
      const element = canvas.tools.el("div", { class: "graph-inner" });
      canvas.box.append(element);
      const make = name === "cytoscape" ? graph.cytoscapeSurface : graph.paintedSurface;
      const { tap, open } = canvas.options;
      canvas.surfaces.set(name, make(element, theme, { tap, open, moved: () => (canvas.moved = true) }));
    }
    canvas.surface = canvas.surfaces.get(name);
    for (const surface of canvas.surfaces.values()) surface.element.hidden = surface !== canvas.surface;
    if (before === canvas.surface) return;
    if (before) before.set({ nodes: [], edges: [], byId: new Map() });
    canvas.surface.resize();
    canvas.surface.active(document.activeElement === canvas.box);
    if (before) canvas.surface.look(before.view());
  }

  function mark(canvas, nodes, edges) {
    canvas.marked = { nodes: new Set(nodes), edges: new Set(edges) };
    canvas.surface.mark(canvas.marked);
  }

  function listen(canvas) {
    const { box, tools } = canvas;
    const active = (on) => () => canvas.surface && canvas.surface.active(on);
    box.addEventListener("focus", active(true));
    box.addEventListener("blur", active(false));
    // cytoscape takes the focus from what is pressed, and with it the keys and the wheel
    box.addEventListener("pointerdown", () => (box.blur = () => {}), true);
    for (const kind of ["pointerup", "pointercancel"]) window.addEventListener(kind, () => delete box.blur, true);
    // a finger scrolls the page until the picture is tapped
    const focus = () => box.focus({ preventScroll: true });
    box.addEventListener("pointerdown", (event) => event.pointerType !== "touch" && focus(), true);
    box.addEventListener("click", focus, true);
    const scrolls = (event) => event.type === "touchmove" && !event.cancelable; // the page follows the finger
    const leave = (event) => (document.activeElement !== box || scrolls(event)) && event.stopPropagation();
    for (const kind of ["touchstart", "touchmove", "touchend"]) {
      box.addEventListener(kind, leave, { passive: true, capture: true });
    }
    box.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target !== box) return;
      if (pressed(canvas, event.key)) event.preventDefault();
    });
    new ResizeObserver(() => {
      if (!canvas.surface || !box.clientWidth) return;
      canvas.surface.resize();
      if (!canvas.moved) canvas.start();
    }).observe(box);
    tools.onTheme(() => {
      canvas.draw();
      if (canvas.options.themed) canvas.options.themed();
    });
    window.addEventListener("beforeprint", () => printed(canvas));
  }

  function pressed(canvas, key) {
    if (key === "+" || key === "=") canvas.zoom(STEP);
    else if (key === "-") canvas.zoom(1 / STEP);
    else if (key === "0") canvas.fit();
    else return canvas.options.keys(key);
    return true;
  }

  // what is in sight

  function extent(canvas) {
    const sides = graph.sides(canvas.scene);
    const { clientWidth: width, clientHeight: height } = canvas.box;
    const [w, h] = [sides.right - sides.left, sides.bottom - sides.top];
    const all = Math.min((width - 2 * MARGIN) / w, (height - 2 * MARGIN) / h);
    return { sides, width, height, w, h, all: Math.max(graph.ZOOMS[0], all) };
  }

  function fit(canvas) {
    const { sides, width, height, w, h, all } = extent(canvas);
    const level = Math.min(all, 1.1);
    canvas.surface.look({
      zoom: level,
      x: (width - w * level) / 2 - sides.left * level,
      y: (height - h * level) / 2 - sides.top * level,
    });
  }

  /* The whole graph if it can be read so; else its beginning, at a size that can be read. A low graph has a low box. */
  function start(canvas) {
    if (!canvas.onPaper) printed(canvas); // a view that is mounted for printing hears of it no more
    canvas.onPaper = true;
    const first = extent(canvas);
    const broad = Math.min(1, Math.max(0.4, (first.width - 2 * MARGIN) / first.w));
    canvas.box.style.height = `${Math.ceil(first.h * broad + 2 * MARGIN + 24)}px`;
    canvas.surface.resize();
    const { sides, width, height, w, h, all } = extent(canvas);
    const level = Math.min(READABLE, broad);
    if (canvas.options.whole || all >= level) return fit(canvas);
    const left = Math.max(MARGIN, (width - w * level) / 2);
    const top = Math.max(MARGIN, (height - h * level) / 2);
    canvas.surface.look({ zoom: level, x: left - sides.left * level, y: top - sides.top * level });
  }

  function zoom(canvas, factor) {
    const now = canvas.surface.view();
    const level = Math.min(graph.ZOOMS[1], Math.max(graph.ZOOMS[0], now.zoom * factor));
    const [x, y] = [canvas.box.clientWidth / 2, canvas.box.clientHeight / 2];
    const ratio = level / now.zoom;
    canvas.surface.look({ zoom: level, x: x - ratio * (x - now.x), y: y - ratio * (y - now.y) });
    canvas.moved = true;
  }

  function pan(canvas, dx, dy) {
    const now = canvas.surface.view();
    canvas.surface.look({ ...now, x: now.x + dx, y: now.y + dy });
    canvas.moved = true;
  }

  /* Where the top of a node is on the canvas; null if it is not in the scene. */
  function at(canvas, id) {
    const node = canvas.scene.byId.get(id);
    if (!node) return null;
    const { zoom: level, x, y } = canvas.surface.view();
    return { x: node.x * level + x, y: (node.y - node.h / 2) * level + y, w: node.w * level, h: node.h * level };
  }

  /* Bring a node into sight, large enough to be read. */
  function show(canvas, id) {
    const level = canvas.surface.view().zoom;
    if (level < 0.3) zoom(canvas, 0.8 / level);
    const place = at(canvas, id);
    if (!place) return;
    const { clientWidth: width, clientHeight: height } = canvas.box;
    const inside =
      place.x - place.w / 2 > 8 && place.x + place.w / 2 < width - 8 && place.y > 8 && place.y + place.h < height - 8;
    if (!inside) pan(canvas, width / 2 - place.x, height / 2 - place.y - Math.min(place.h, height) / 2);
    canvas.moved = true;
  }

  // pictures

  /* Pictures on paper have light colors, whatever the screen has. */
  function printed(canvas) {
    const { tools } = canvas;
    const root = document.documentElement;
    const before = root.dataset.theme;
    root.dataset.theme = "light";
    const theme = { ...tools.theme(), paper: "#ffffff" };
    if (before) root.dataset.theme = before;
    else delete root.dataset.theme;
    graph.paintWhole(canvas.print, canvas.options.scene(theme), theme, 2, canvas.marked);
  }

  /**
   * Return buttons that zoom and save.
   * @param {object} canvas
   * @param {string} name of the file
   */
  graph.zoomButtons = function (canvas, name) {
    const { el } = canvas.tools;
    const button = (text, label, click) =>
      el("button", { type: "button", title: label, "aria-label": label, onClick: click }, text);
    return el(
      "span",
      { class: "graph-group", role: "group", "aria-label": "zoom" },
      button("+", "zoom in", () => canvas.zoom(STEP)),
      button("−", "zoom out", () => canvas.zoom(1 / STEP)),
      button("fit", "show the whole graph (fit)", () => canvas.fit()),
      button("PNG", "save the graph as PNG", () => save(canvas, name)),
    );
  };

  function save(canvas, name) {
    const sheet = document.createElement("canvas");
    graph.paintWhole(sheet, canvas.scene, canvas.tools.theme(), 3, canvas.marked);
    const link = canvas.tools.el("a", { href: sheet.toDataURL("image/png"), download: `${name}.png` });
    document.body.append(link);
    link.click();
    link.remove();
  }

  // texts

  const pen = document.createElement("canvas").getContext("2d");
  const widths = new Map();

  /** Return the width of a text at 11 px. */
  graph.textWidth = function (text) {
    if (!widths.has(text)) {
      pen.font = "11px system-ui, sans-serif";
      widths.set(text, pen.measureText(text).width);
    }
    return widths.get(text);
  };

  /** Return a text without its middle if it is broader than a width at 11 px. */
  graph.fitted = function (text, width) {
    let shown = text;
    for (let n = text.length - 1; n > 2 && graph.textWidth(shown) > width; n--) {
      shown = `${text.slice(0, Math.ceil(n / 2))}…${text.slice(text.length - Math.floor(n / 2))}`;
    }
    return shown;
  };

  /** Return a text cut to a number of characters. */
  graph.short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
})();
