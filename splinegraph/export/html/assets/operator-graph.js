"use strict";
/* needs: cytoscape dagre */
/* The operator graph: modules that open and close, a search, colors by what is known of each operator, details. */
splinegraph.view("operator-graph", function (element, report, tools) {
  splinegraph.graph.operatorGraph(element, report, tools);
});

(function () {
  const graph = (splinegraph.graph = splinegraph.graph || {});

  const MOST_AT_START = 60;
  const HEIGHT = { node: 34, group: 44 };

  /** Draw the operator graph of a report in a place. */
  graph.operatorGraph = function (element, report, tools) {
    const { nodes, known } = graph.facts(report);
    if (!nodes.length) {
      element.append(tools.el("p", { class: "note" }, "The report has no operator graph."));
      element.dataset.ready = "true";
      return;
    }
    const tree = graph.tree(nodes);
    const colorings = graph.colorings(nodes);
    const view = {
      element,
      tools,
      nodes,
      known,
      tree,
      colorings,
      coloring: colorings[0],
      selected: null,
      name: report.name,
      open: graph.startOpen(tree, MOST_AT_START),
    };
    lay(view);
    build(view);
    view.canvas.draw();
    tell(view);
    view.canvas.start();
    element.addEventListener("show-node", (event) => {
      const node = known(event.detail);
      if (node) choose(view, node);
    });
    element.dataset.ready = "true";
  };

  function build(view) {
    const { el } = view.tools;
    const frame = el("div", { class: "graph-frame" });
    const left = el("div", { class: "graph-left" });
    view.panel = el("div", { class: "graph-panel", role: "region", "aria-label": "details of a node", tabindex: "0" });
    view.legend = el("ul", { class: "graph-legend", "aria-label": "legend" });
    frame.append(left, view.panel);
    view.bar = el("div", { class: "graph-tools" });
    view.element.append(
      view.bar,
      frame,
      view.legend,
      graph.outline(view.tree, view.tools, (item) => choose(view, item)),
    );
    view.canvas = graph.canvas(left, view.tools, {
      label: described(view),
      scene: (theme) => scene(view, theme),
      keys: (key) => walked(view, key),
      tap: (id) => choose(view, id ? view.tree.byId.get(id) : null, false),
      open: (id) => opened(view, id),
      themed: () => legend(view),
    });
    view.bar.append(search(view), levels(view), colorChoice(view), graph.zoomButtons(view.canvas, "operator-graph"));
    hint(view);
  }

  function described(view) {
    const inexact = view.tree.root.inexact;
    const what = inexact ? `${inexact} nodes are not piecewise affine` : "all are piecewise affine";
    return (
      `Operator graph of ${view.name}: ${sized(view)}; ${what}. ` +
      "Arrow keys go along edges, Enter shows details or opens a module, plus, minus and 0 zoom. " +
      "The outline below says the same."
    );
  }

  const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

  function sized(view) {
    const modules = view.tree.groups.length;
    return counted(view.nodes.length, "node") + (modules ? ` in ${counted(modules, "module")}` : "");
  }

  function hint(view) {
    const { el } = view.tools;
    view.panel.replaceChildren(
      el("h4", {}, view.name),
      el(
        "p",
        { class: "graph-small" },
        `${sized(view)}. Click a node for its details, ` +
          "double-click a module to open or close it. Drag to move; " +
          "once the picture has been clicked, the wheel zooms. Keys: arrows go along edges, Enter shows details or opens a module, + − 0 zoom.",
      ),
    );
  }

  // drawing

  function label(item) {
    if (!item.children) return [graph.short(item.operator, 26), graph.short(item.shape, 26)];
    const kinds = [...item.families]
      .sort((p, q) => q[1] - p[1])
      .slice(0, 3)
      .map(([family]) => family)
      .join(", ");
    const size = item.parameters ? `, ${compact(item.parameters)} par.` : "";
    return [`▸ ${graph.short(item.label, 30)}`, `${item.operators} operators${size}`, graph.short(kinds, 32)];
  }

  function compact(count) {
    if (count < 1000) return String(count);
    return count < 1e6 ? `${(count / 1e3).toPrecision(3)}k` : `${(count / 1e6).toPrecision(3)}M`;
  }

  function size(item) {
    const width = Math.max(...label(item).map(graph.textWidth));
    const corners = !item.children && item.family !== "affine" ? 1.3 : 1;
    return { w: Math.min(250, Math.max(72, corners * width + 22)), h: item.children ? HEIGHT.group : HEIGHT.node };
  }

  function lay(view) {
    view.shown = graph.visible(view.tree, view.nodes, view.open);
    view.placed = graph.place(view.tree, view.shown, size);
  }

  function redraw(view) {
    lay(view);
    view.canvas.draw();
    mark(view);
    tell(view);
  }

  function scene(view, theme) {
    const { at, routes, fast } = view.placed;
    const boxes = view.shown.boxes.map((box) => {
      const { x, y, w, h } = view.placed.boxes.get(box.id);
      const lines = [`▾ ${graph.short(box.label, 40)}`];
      return {
        id: box.id,
        x: x + w / 2,
        y: y + h / 2,
        w,
        h,
        lines,
        box: true,
        depth: box.depth,
        fill: theme.paper,
        rim: theme.line,
      };
    });
    const items = view.shown.items.map((item) => ({
      id: item.id,
      ...at.get(item.id),
      ...size(item),
      ...view.coloring.color(item, theme),
      lines: label(item),
      corners: item.children ? "0,0 1,0 1,1 0,1" : graph.look(item.family)[1],
      double: Boolean(item.children),
      dashed: !item.children && !item.exact,
    }));
    const edges = view.shown.edges.map(({ id, source, target, count }) => ({
      id,
      source,
      target,
      width: count > 1 ? 2.2 : 1.3,
      points: routes.get(id) || [],
    }));
    const nodes = [...boxes, ...items];
    return { nodes, edges, byId: new Map(nodes.map((node) => [node.id, node])), arrows: !fast };
  }

  function legend(view) {
    graph.showLegend(view.legend, view.coloring.legend(view.tools.theme(), view.tools.number), view.tools);
  }

  function tell(view) {
    legend(view);
    const closed = view.shown.items.filter((item) => item.children).length;
    const inside = closed ? ` and ${counted(closed, "closed module")}` : "";
    const what = `${view.shown.items.length - closed} of ${view.nodes.length} nodes${inside} shown`;
    view.canvas.say(what);
  }

  // selecting

  function opened(view, id) {
    const item = id ? view.tree.byId.get(id) : null;
    if (item && item.children) toggle(view, item);
  }

  /* Select an operator or module, opening modules around it. */
  function choose(view, item, moves = true) {
    view.selected = item;
    if (!item) {
      mark(view);
      hint(view);
      return;
    }
    const closed = graph.around(item).filter((group) => !view.open.has(group.id));
    if (closed.length) {
      for (const group of closed) view.open.add(group.id);
      redraw(view);
    }
    mark(view);
    if (moves) view.canvas.show(item.id);
    detail(view, item);
  }

  function detail(view, item) {
    const go = (other) => choose(view, other);
    const made = item.children
      ? graph.moduleDetails(item, view.tools, {
          go,
          toggle: (group) => toggle(view, group),
          isOpen: view.open.has(item.id),
        })
      : graph.operatorDetails(item, view.nodes, view.tools, go);
    view.panel.replaceChildren(...made);
    view.panel.scrollTop = 0;
    const name = item.children
      ? `module ${item.path || item.label}, ${item.operators} operators`
      : `${item.name}, ${item.operator}, ${item.shape}`;
    view.canvas.say(name);
  }

  function mark(view) {
    const id = view.selected ? view.selected.id : "";
    const touching = view.shown.edges.filter((edge) => edge.source === id || edge.target === id);
    view.canvas.mark(
      id ? [id] : [],
      touching.map((edge) => edge.id),
    );
  }

  /* Open or close a module; what was under the pointer stays there. */
  function toggle(view, group) {
    const before = view.canvas.at(group.id);
    if (view.open.has(group.id)) view.open.delete(group.id);
    else view.open.add(group.id);
    view.selected = group;
    redraw(view);
    const after = view.canvas.at(group.id);
    if (before && after) view.canvas.pan(before.x - after.x, before.y - after.y);
    detail(view, group);
  }

  /* Arrow keys go along edges, and across from one neighbor to the next. */
  function walked(view, key) {
    const step = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[key];
    if (key === "Escape") return (choose(view, null), true);
    if (key === "Enter" || key === " ") return entered(view);
    if (!step) return false;
    if (!view.selected || !view.canvas.at(view.selected.id)) return (choose(view, view.shown.items[0]), true);
    const next = step[0] ? along(view, step[0]) : across(view, step[1]);
    if (next) choose(view, next);
    return true;
  }

  function neighbors(view, id, direction) {
    const [from, to] = direction > 0 ? ["source", "target"] : ["target", "source"];
    return view.shown.edges.filter((edge) => edge[from] === id).map((edge) => view.tree.byId.get(edge[to]));
  }

  function along(view, direction) {
    const item = view.selected;
    if (item.children && view.open.has(item.id)) return item.children[direction > 0 ? 0 : item.children.length - 1];
    const found = neighbors(view, item.id, direction);
    const place = (other) => (other.children ? other.order : other.index);
    return found.sort((p, q) => direction * (place(p) - place(q)))[0];
  }

  function across(view, direction) {
    const at = view.placed.at;
    const here = at.get(view.selected.id);
    if (!here) return null;
    const others = view.shown.items.filter((item) => direction * (at.get(item.id).x - here.x) > 5);
    const far = (item) => Math.abs(at.get(item.id).x - here.x) + 3 * Math.abs(at.get(item.id).y - here.y);
    return others.length ? others.reduce((best, item) => (far(item) < far(best) ? item : best)) : null;
  }

  function entered(view) {
    if (!view.selected) return false;
    if (view.selected.children) toggle(view, view.selected);
    else view.panel.focus();
    return true;
  }

  // controls

  function search(view) {
    const { el } = view.tools;
    const results = el("ul", { class: "graph-results" });
    const input = el("input", {
      type: "search",
      placeholder: "find a node",
      "aria-label": "find a node by name, operator or module",
      size: 16,
    });
    const show = () => {
      const found = hits(view, input.value);
      results.replaceChildren(
        ...found.slice(0, 12).map((item) =>
          el(
            "li",
            {},
            el(
              "button",
              {
                type: "button",
                class: "graph-link",
                onClick: () => {
                  results.replaceChildren();
                  choose(view, item);
                },
              },
              item.children ? `${item.path || item.label} (module)` : `${item.name}: ${item.operator}`,
            ),
          ),
        ),
      );
      if (input.value.trim()) view.canvas.say(found.length === 1 ? "1 found" : `${found.length} found`);
      if (found.length > 12) results.append(el("li", { class: "graph-small" }, `and ${found.length - 12} more`));
    };
    input.addEventListener("input", show);
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") results.replaceChildren();
      if (event.key !== "Enter") return;
      const first = hits(view, input.value)[0];
      results.replaceChildren();
      if (first) choose(view, first);
    });
    return el("span", { class: "graph-search", role: "search" }, input, results);
  }

  function hits(view, text) {
    const wanted = text.trim().toLowerCase();
    if (!wanted) return [];
    const has = (value) => Boolean(value) && value.toLowerCase().includes(wanted);
    const groups = view.tree.groups.filter((group) => !group.range && (has(group.label) || has(group.path)));
    const nodes = view.nodes.filter((node) => has(node.name) || has(node.operator) || has(node.module));
    const exact = nodes.filter((node) => node.name.toLowerCase() === wanted);
    return [...exact, ...groups.filter((group) => has(group.label)), ...nodes.filter((node) => !exact.includes(node))];
  }

  function levels(view) {
    const { el } = view.tools;
    const set = (open) => () => {
      view.open = open();
      view.canvas.moved = false;
      redraw(view);
      view.canvas.start();
    };
    const button = (text, open) => el("button", { type: "button", onClick: set(open) }, text);
    if (!view.tree.groups.length) return null;
    return el(
      "span",
      { class: "graph-group", role: "group", "aria-label": "modules" },
      button("open all", () => graph.openTo(view.tree, Infinity)),
      button("one level", () => deeper(view)),
      button("close all", () => new Set()),
    );
  }

  function deeper(view) {
    const closed = view.shown.items.filter((item) => item.children);
    const level = closed.length ? Math.min(...closed.map((item) => item.depth)) : Infinity;
    return new Set([...view.open, ...closed.filter((item) => item.depth === level).map((item) => item.id)]);
  }

  function colorChoice(view) {
    const { el } = view.tools;
    const choice = el(
      "select",
      {},
      ...view.colorings.map((coloring) => el("option", { value: coloring.key }, coloring.title)),
    );
    choice.addEventListener("change", () => {
      view.coloring = view.colorings.find((coloring) => coloring.key === choice.value);
      view.canvas.draw();
      legend(view);
    });
    return el("label", { class: "graph-group" }, "color: ", choice);
  }
})();
