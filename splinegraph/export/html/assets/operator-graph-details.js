"use strict";
/* What the report says of one operator or module, as a panel. */
(function () {
  const graph = (splinegraph.graph = splinegraph.graph || {});

  const CURVATURE = {
    affine: "affine in its arguments",
    convex: "convex in its arguments",
    concave: "concave in its arguments",
    neither: "neither convex nor concave in its arguments",
  };

  /**
   * Return the details of an operator.
   * @param {object} node what `facts` returns
   * @param {object[]} nodes
   * @param {object} tools
   * @param {(item: object) => void} go selects another operator or module
   * @returns {Element[]}
   */
  graph.operatorDetails = function (node, nodes, tools, go) {
    const { el, number } = tools;
    const rows = [
      ["operator", node.operator],
      ["family", node.family],
      ["exact", exactness(node)],
      ["curvature", CURVATURE[node.curvature] || node.curvature || null],
      ["role", node.family === "input" ? "input of the network" : node.isOutput ? "output of the network" : null],
      ["shape", node.shape],
      ["parameters", typeof node.parameters === "number" ? number(node.parameters) : null],
      ["module", around(node, el, go)],
      ["step", node.step === null || node.step === undefined ? null : `t=${node.step}`],
      ["source", node.source || null],
      [
        "reads",
        links(
          node.inputs.map((j) => nodes[j]),
          el,
          go,
        ),
      ],
      [
        "is read by",
        links(
          node.outputs.map((j) => nodes[j]),
          el,
          go,
        ),
      ],
    ];
    return [
      el("h4", {}, node.name),
      list(rows, el),
      ...lipschitz(node, tools),
      ...units(node, tools),
      ...(node.fails ? [el("p", { class: "note" }, fails(node.fails))] : []),
    ];
  };

  function exactness(node) {
    if (node.family === "input") return null;
    const jumps = node.continuous ? "" : ", not continuous";
    return (node.exact ? "piecewise affine" : `no, ${node.kind}: the network's maps are tangents`) + jumps;
  }

  function fails(layer) {
    return `The signs of weights do not prove convexity here: it asks ${layer.asks}, and ${layer.units} units fail.`;
  }

  function list(rows, el) {
    const told = rows.filter(([, value]) => value !== null && value !== "" && value !== undefined);
    return el(
      "dl",
      { class: "graph-facts" },
      ...told.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
    );
  }

  function links(items, el, go) {
    const unique = [...new Set(items)];
    if (!unique.length) return null;
    const made = unique.slice(0, 30).map((item) => link(item.name, item, el, go));
    const more = unique.length > 30 ? el("span", {}, ` and ${unique.length - 30} more`) : null;
    return el("span", { class: "graph-links" }, ...made, more);
  }

  function link(text, item, el, go) {
    return el("button", { type: "button", class: "graph-link", onClick: () => go(item) }, text);
  }

  function around(item, el, go) {
    const groups = graph.around(item).reverse();
    const own = item.module && !(groups.length && groups[groups.length - 1].path === item.module);
    const made = groups.map((group) => link(group.label, group, el, go));
    if (!made.length) return item.module || null;
    return el("span", { class: "graph-links" }, ...made, own ? el("span", {}, item.module) : null);
  }

  function lipschitz(node, tools) {
    if (!node.constants) return [];
    const [own, total] = node.constants;
    const say = (value) => (typeof value === "number" ? tools.number(value) : "none known");
    return [
      tools.el("h5", {}, "Lipschitz constant"),
      list(
        [
          ["own", `${say(own)} (upper bound)`],
          ["from the input to here", `${say(total)} (upper bound)`],
        ],
        tools.el,
      ),
    ];
  }

  function units(node, tools) {
    const { el } = tools;
    if (!node.units) return [];
    const layer = node.units;
    const boundary = typeof node.onBoundary === "number" ? node.onBoundary : null;
    const rows = [
      ["units", tools.number(layer.units)],
      ["pieces of each", layer.pieces ? tools.number(layer.pieces) : "unbounded"],
      ["dead", part(layer.dead, layer.units, "the same number for all samples")],
      ["always on", part(layer.always_on, layer.units, "never switch, not flat")],
      ["samples on a boundary", boundary === null ? null : tools.number(boundary)],
    ];
    const shares = Object.entries(layer.share);
    return [
      el("h5", {}, "Units on the samples"),
      list(rows, el),
      el("p", { class: "graph-small" }, "share of samples and units on each piece"),
      graph.bars(
        shares.slice(0, 12).map(([piece, share], i) => ({ name: `piece ${piece}`, share, series: i })),
        tools,
      ),
      ...(shares.length > 12
        ? [el("p", { class: "graph-small" }, `${shares.length - 12} more pieces are left out`)]
        : []),
    ];
  }

  const part = (count, all, what) => `${count} of ${all} (${all ? ((100 * count) / all).toFixed(1) : 0} %): ${what}`;

  /**
   * Return a list of bars.
   * @param {{name: string, share: number, series: number, text?: string}[]} rows shares are of 1
   * @param {object} tools
   */
  graph.bars = function (rows, tools) {
    const { el } = tools;
    return el(
      "ul",
      { class: "graph-bars" },
      ...rows.map((row) =>
        el(
          "li",
          {},
          el("span", { class: "graph-bar-name" }, row.name),
          el(
            "span",
            { class: "graph-bar", "aria-hidden": "true" },
            el("span", { style: { width: `${100 * row.share}%`, background: `var(--s${row.series % 10})` } }),
          ),
          el("span", { class: "graph-bar-text" }, row.text || `${(100 * row.share).toFixed(1)} %`),
        ),
      ),
    );
  };

  /**
   * Return the details of a module.
   * @param {object} group
   * @param {object} tools
   * @param {{go: Function, toggle: Function, isOpen: boolean}} actions
   * @returns {Element[]}
   */
  graph.moduleDetails = function (group, tools, { go, toggle, isOpen }) {
    const { el, number } = tools;
    const dead = graph.deadOf(group);
    const constant = graph.constantOf(group);
    const rows = [
      ["operators", number(group.operators)],
      ["parameters", group.parameters === null ? null : number(group.parameters)],
      ["families", [...group.families].map(([family, count]) => `${family} ${count}`).join(", ")],
      ["not piecewise affine", group.inexact ? `${group.inexact} operators` : "none"],
      ["dead units", dead ? `${dead.dead} of ${dead.units}` : null],
      ["largest Lipschitz constant", constant === null ? null : `${number(constant)} (of one operator, upper bound)`],
      ["in", around(group, el, go)],
    ];
    const inner = group.children
      .slice(0, 40)
      .map((child) => link(child.children ? child.label : child.name, child, el, go));
    const more = group.children.length > 40 ? el("span", {}, ` and ${group.children.length - 40} more`) : null;
    return [
      el("h4", {}, group.range ? group.label : group.path || group.label),
      el(
        "p",
        {},
        el("button", { type: "button", onClick: () => toggle(group) }, isOpen ? "close module" : "open module"),
      ),
      list(rows, el),
      el("h5", {}, "Inside"),
      el("p", { class: "graph-links" }, ...inner, more),
    ];
  };
})();
