"use strict";
/* The operator graph as a tree of modules: what is known of each node, and what is visible when some are closed. */
(function () {
  const graph = (splinegraph.graph = splinegraph.graph || {});

  /** Children of one module from which on they are put into ranges. */
  const MOST_CHILDREN = 60;

  /**
   * Return a section of the report, or null if it is missing or failed.
   * @param {object} report
   * @param {string} name
   */
  graph.section = function (report, name) {
    const found = report.sections && report.sections[name];
    return found && !found.failed ? found : null;
  };

  /**
   * Return all that the report says of each node, in the graph's order.
   * @param {object} report
   */
  graph.facts = function (report) {
    const section = graph.section(report, "graph");
    const rows = section ? section.nodes : [];
    const index = new Map(rows.map((row, i) => [row.name, i]));
    const nodes = rows.map((row, i) => ({
      ...row,
      id: `n${i}`,
      index: i,
      inputs: row.reads.map((name) => index.get(name)).filter((j) => j !== undefined),
      outputs: [],
      units: null,
      constants: null,
      onBoundary: null,
      fails: null,
      isOutput: Object.hasOwn((section && section.outputs) || {}, row.name),
    }));
    for (const node of nodes) for (const j of new Set(node.inputs)) nodes[j].outputs.push(node.index);
    const known = (name) => (index.has(name) ? nodes[index.get(name)] : null);
    addFacts(report, known);
    return { nodes, known };
  };

  function addFacts(report, known) {
    const units = graph.section(report, "units");
    const lipschitz = graph.section(report, "lipschitz");
    const boundary = graph.section(report, "boundary");
    const convexity = graph.section(report, "convexity");
    const put = (name, key, value) => {
      const node = known(name);
      if (node) node[key] = value;
    };
    for (const layer of (units && units.layers) || []) put(layer.name, "units", layer);
    for (const layer of (lipschitz && lipschitz.layers) || []) {
      put(layer.node, "constants", [layer.constant, layer.total]);
    }
    for (const [name, pair] of Object.entries((lipschitz && lipschitz.constants) || {})) put(name, "constants", pair);
    for (const [name, count] of Object.entries((boundary && boundary.by_node) || {})) put(name, "onBoundary", count);
    for (const layer of (convexity && convexity.layers) || []) put(layer.node, "fails", layer);
  }

  /**
   * Return the tree of modules: groups of operators, and of groups.
   * @param {object[]} nodes what `facts` returns
   */
  graph.tree = function (nodes) {
    const root = newGroup("", "", null);
    for (const node of nodes) descend(root, node).children.push(node);
    const inner = new Set();
    for (const node of nodes) for (const j of node.inputs) inner.add(`${j}>${node.index}`);
    simplify(root, inner);
    while (root.children.length === 1 && root.children[0].children) root.children = root.children[0].children;
    chunk(root);
    const groups = [];
    number(root, 0, groups);
    return { root, groups, byId: new Map([...nodes, ...groups].map((item) => [item.id, item])) };
  };

  function newGroup(label, path, parent) {
    return { id: "", label, path, parent, children: [], named: new Map(), order: 0, depth: 0 };
  }

  function descend(root, node) {
    const parts = node.module ? node.module.split(".") : [];
    if (node.step !== null && node.step !== undefined) parts.push(`t=${node.step}`);
    let here = root;
    for (const part of parts) {
      if (!here.named.has(part)) {
        const joint = part.startsWith("t=") ? " " : ".";
        const made = newGroup(part, here.path ? here.path + joint + part : part, here);
        here.named.set(part, made);
        here.children.push(made);
      }
      here = here.named.get(part);
    }
    return here;
  }

  /* A module of one operator is that operator, one of one module is that module, and one whose operators do not
   * read each other (a ReLU that is called at two places) holds nothing together. */
  function simplify(group, inner) {
    const flat = [];
    for (const child of group.children) {
      if (!child.children) flat.push(child);
      else {
        simplify(child, inner);
        const only = child.children.length === 1 ? child.children[0] : null;
        if (only && only.children) flat.push(Object.assign(only, { label: `${child.label}.${only.label}` }));
        else if (only || !holdsTogether(child, inner)) flat.push(...child.children);
        else flat.push(child);
      }
    }
    group.children = flat;
  }

  function holdsTogether(group, inner) {
    if (group.children.some((child) => child.children)) return true;
    const own = new Set(group.children.map((child) => child.index));
    return group.children.some((child) => child.inputs.some((j) => own.has(j) && inner.has(`${j}>${child.index}`)));
  }

  function chunk(group) {
    for (const child of group.children) if (child.children) chunk(child);
    const all = group.children;
    if (all.length <= MOST_CHILDREN) return;
    const size = Math.max(10, Math.ceil(all.length / 40));
    const name = (item) => (item.children ? item.label : item.name);
    group.children = [];
    for (let i = 0; i < all.length; i += size) {
      const part = all.slice(i, i + size);
      const made = newGroup(`${name(part[0])} … ${name(part[part.length - 1])}`, group.path, group);
      made.children = part;
      made.range = true;
      group.children.push(part.length > 1 ? made : part[0]);
    }
    chunk(group);
  }

  function number(group, depth, groups) {
    group.depth = depth;
    group.id = depth ? `g${groups.length}` : "root";
    if (depth) groups.push(group);
    group.operators = 0;
    group.parameters = 0;
    group.families = new Map();
    group.inexact = 0;
    for (const child of group.children) {
      child.parent = group;
      if (child.children) number(child, depth + 1, groups);
      gather(group, child);
    }
    const first = group.children[0];
    group.order = first ? (first.children ? first.order : first.index) : 0;
  }

  function gather(group, child) {
    const inside = Boolean(child.children);
    group.operators += inside ? child.operators : 1;
    const known = group.parameters !== null && typeof child.parameters === "number";
    group.parameters = known ? group.parameters + child.parameters : null;
    group.inexact += inside ? child.inexact : child.exact ? 0 : 1;
    const families = inside ? child.families : [[child.family, 1]];
    for (const [family, count] of families) group.families.set(family, (group.families.get(family) || 0) + count);
  }

  /**
   * Return the ids of the groups less deep than a level.
   * @param {object} tree
   * @param {number} level
   */
  graph.openTo = function (tree, level) {
    return new Set(tree.groups.filter((group) => group.depth <= level).map((group) => group.id));
  };

  /** Return how many items are visible if the groups of `open` are open. */
  graph.countVisible = function (tree, open) {
    const count = (group) => group.children.reduce((sum, c) => sum + (c.children && open.has(c.id) ? count(c) : 1), 0);
    return count(tree.root);
  };

  /** Return the deepest level at which at most `most` items are visible, as ids of open groups. */
  graph.startOpen = function (tree, most) {
    let found = new Set();
    for (let level = 1; ; level += 1) {
      const open = graph.openTo(tree, level);
      if (graph.countVisible(tree, open) > most) return found;
      if (open.size === found.size) return open;
      found = open;
    }
  };

  /**
   * Return what is visible: items (operators and closed groups), open groups, and edges with their numbers.
   * @param {object} tree
   * @param {object[]} nodes
   * @param {Set<string>} open ids of open groups
   */
  graph.visible = function (tree, nodes, open) {
    const items = [];
    const boxes = [];
    const shown = new Array(nodes.length);
    const cover = (item, holder) => {
      if (item.children) for (const child of item.children) cover(child, holder);
      else shown[item.index] = holder;
    };
    const walk = (group) => {
      for (const child of group.children) {
        if (child.children && open.has(child.id)) {
          boxes.push(child);
          walk(child);
        } else {
          items.push(child);
          cover(child, child);
        }
      }
    };
    walk(tree.root);
    return { items, boxes, shown, edges: joined(nodes, shown) };
  };

  function joined(nodes, shown) {
    const edges = new Map();
    for (const node of nodes) {
      const target = shown[node.index];
      for (const j of node.inputs) {
        const source = shown[j];
        if (source === target) continue;
        const id = `${source.id}>${target.id}`;
        const edge = edges.get(id) || { id, source: source.id, target: target.id, count: 0 };
        edge.count += 1;
        edges.set(id, edge);
      }
    }
    return [...edges.values()];
  }

  /** Return the groups around an item, innermost first, without the root. */
  graph.around = function (item) {
    const found = [];
    for (let group = item.parent; group && group.depth > 0; group = group.parent) found.push(group);
    return found;
  };
})();
