"use strict";
/* Colors of operators: by family, by exactness, by their share of dead units, by Lipschitz constant; and legends. */
(function () {
  const graph = (splinegraph.graph = splinegraph.graph || {});

  /** Number of the color in the theme's series, and corners of the shape in a unit box; "" for an ellipse. */
  graph.FAMILIES = {
    input: [7, "0,0 .75,0 1,.5 .75,1 0,1"],
    affine: [0, "0,0 1,0 1,1 0,1"],
    spline: [3, "0,.5 .15,0 .85,0 1,.5 .85,1 .15,1"],
    maximum: [1, ".15,0 .85,0 1,.3 1,.7 .85,1 .15,1 0,.7 0,.3"],
    order: [8, "0,0 .85,0 1,1 .15,1"],
    smooth: [9, ""],
    bilinear: [6, "0,.2 .5,0 1,.2 1,.8 .5,1 0,.8"],
    normalizing: [2, ".08,0 .92,0 1,.15 1,.85 .92,1 .08,1 0,.85 0,.15"],
    discontinuous: [5, "0,0 1,0 .85,.5 1,1 0,1 .15,.5"],
    opaque: [4, ".15,0 1,0 .85,1 0,1"],
  };

  const OTHER = [7, "0,0 1,0 1,1 0,1"];

  /** Return [color number, corners] of a family. */
  graph.look = (family) => (Object.hasOwn(graph.FAMILIES, family) ? graph.FAMILIES[family] : OTHER);

  function channels(color) {
    const hex = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(color.trim());
    if (hex) {
      const text = hex[1].length === 3 ? [...hex[1]].map((c) => c + c).join("") : hex[1];
      return [0, 2, 4].map((i) => parseInt(text.slice(i, i + 2), 16));
    }
    const found = (color.match(/[\d.]+/g) || []).slice(0, 3).map(Number);
    return found.length === 3 ? found : [128, 128, 128];
  }

  /**
   * Return a color between two.
   * @param {string} from
   * @param {string} to
   * @param {number} share 0 is `from`, 1 is `to`
   */
  graph.mixed = function (from, to, share) {
    const [a, b] = [channels(from), channels(to)];
    return `rgb(${a.map((x, i) => Math.round(x + share * (b[i] - x))).join(",")})`;
  };

  const tint = (theme, color, share = 0.22) => ({ fill: graph.mixed(theme.paper, color, share), rim: color });
  const none = (theme) => ({ fill: theme.paper, rim: theme.line });

  function leaves(item) {
    return item.children ? item.children.flatMap(leaves) : [item];
  }

  /** Return dead units and units of an operator, or of all in a module; null if nothing switches. */
  graph.deadOf = function (item) {
    const layers = leaves(item).filter((node) => node.units && node.units.units);
    if (!layers.length) return null;
    const sum = (key) => layers.reduce((total, node) => total + node.units[key], 0);
    return { dead: sum("dead"), units: sum("units"), always: sum("always_on") };
  };

  /** Return an operator's own Lipschitz constant, or the largest in a module; null if none is known. */
  graph.constantOf = function (item) {
    const known = leaves(item).map((node) => node.constants && node.constants[0]);
    const found = known.filter((c) => typeof c === "number" && Number.isFinite(c));
    return found.length ? Math.max(...found) : null;
  };

  const kindColor = (theme, kind) =>
    kind === "" ? theme.muted : kind === "exact" ? theme.good : kind.startsWith("exact") ? theme.warn : theme.bad;

  /* Each mode: what it needs of the nodes, the color of an item, and rows of the legend. */
  const MODES = {
    family: {
      title: "family",
      color(item, theme) {
        if (item.children) return { fill: theme.panel || theme.paper, rim: theme.muted };
        return tint(theme, theme.series[graph.look(item.family)[0]]);
      },
      legend(nodes, theme) {
        const families = [...new Set(nodes.map((node) => node.family))];
        return families.map((family) => ({
          ...tint(theme, theme.series[graph.look(family)[0]]),
          corners: graph.look(family)[1],
          text: family || "no family",
        }));
      },
    },
    kind: {
      title: "exact or not",
      color(item, theme) {
        if (item.children) return tint(theme, item.inexact ? theme.bad : theme.good);
        return tint(theme, kindColor(theme, item.kind));
      },
      legend(nodes, theme) {
        const kinds = [...new Set(nodes.map((node) => node.kind))].sort();
        return kinds.map((kind) => ({ ...tint(theme, kindColor(theme, kind)), text: kind || "input" }));
      },
    },
    dead: {
      title: "share of dead units",
      color(item, theme) {
        const found = graph.deadOf(item);
        return found ? tint(theme, theme.bad, 0.04 + 0.7 * (found.dead / found.units)) : none(theme);
      },
      legend: (nodes, theme) => [
        { ...tint(theme, theme.bad, 0.04), text: "0 %" },
        { ...tint(theme, theme.bad, 0.39), text: "50 %" },
        { ...tint(theme, theme.bad, 0.74), text: "100 %" },
        { ...none(theme), text: "no units" },
      ],
    },
    lipschitz: {
      title: "Lipschitz constant",
      color(item, theme, range) {
        const found = graph.constantOf(item);
        if (found === null) return none(theme);
        const side = found > 1 ? theme.bad : theme.accent;
        const strength = found > 0 ? Math.min(1, Math.abs(Math.log(found)) / range) : 1;
        return { fill: graph.mixed(theme.paper, side, 0.04 + 0.6 * strength), rim: side };
      },
      legend: (nodes, theme, range, number) => [
        { ...tint(theme, theme.accent, 0.64), text: `${number(Math.exp(-range))} or less: contracts` },
        { ...tint(theme, theme.accent, 0.04), text: "1" },
        { ...tint(theme, theme.bad, 0.64), text: `${number(Math.exp(range))}: stretches` },
        { ...none(theme), text: "not known" },
      ],
    },
  };

  /**
   * Return the ways to color an operator graph that its nodes have facts for.
   * @param {object[]} nodes
   * @returns {{key: string, title: string, color: Function, legend: Function}[]}
   */
  graph.colorings = function (nodes) {
    const logs = nodes
      .map(graph.constantOf)
      .filter((c) => c !== null && c > 0)
      .map((c) => Math.abs(Math.log(c)));
    const range = Math.max(0.1, ...logs);
    const usable = { family: true, kind: true, dead: nodes.some(graph.deadOf), lipschitz: logs.length > 0 };
    return Object.keys(MODES)
      .filter((key) => usable[key])
      .map((key) => ({
        key,
        title: MODES[key].title,
        color: (item, theme) => MODES[key].color(item, theme, range),
        legend: (theme, number) => MODES[key].legend(nodes, theme, range, number),
      }));
  };

  /**
   * Fill a list with a legend.
   * @param {Element} list
   * @param {{fill: string, rim: string, text: string, corners?: string}[]} rows
   * @param {object} tools
   */
  graph.showLegend = function (list, rows, tools) {
    list.replaceChildren(...rows.map((row) => tools.el("li", {}, swatch(row, tools), row.text)));
  };

  function swatch(row, tools) {
    const look = { fill: row.fill, stroke: row.rim, "stroke-width": "1.4" };
    const points = (row.corners || "0,0 1,0 1,1 0,1").split(" ").map((pair) => pair.split(",").map(Number));
    const corners = points.map(([x, y]) => `${2 + 18 * x},${2 + 10 * y}`).join(" ");
    const shape =
      row.corners === ""
        ? tools.svg("ellipse", { ...look, cx: 11, cy: 7, rx: 9, ry: 5 })
        : tools.svg("polygon", { ...look, points: corners });
    return tools.svg("svg", { class: "graph-swatch", width: 22, height: 14, "aria-hidden": "true" }, shape);
  }
})();
