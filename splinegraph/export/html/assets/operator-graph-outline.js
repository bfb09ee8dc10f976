"use strict";
/* The modules and operators as a nested list: all that the picture tells, for keyboards and screen readers. */
(function () {
  const graph = (splinegraph.graph = splinegraph.graph || {});

  /**
   * Return the outline, closed; lists are built when they are opened.
   * @param {object} tree
   * @param {object} tools
   * @param {(item: object) => void} go selects an operator or module
   */
  graph.outline = function (tree, tools, go) {
    const operators = tree.root.operators;
    const what = operators === 1 ? "1 node" : `${operators} nodes`;
    return opening(tools, ["Outline: ", what, " by module"], () => items(tree.root, tools, go), "graph-outline");
  };

  function opening(tools, summary, fill, name) {
    const made = tools.el("details", { class: name }, tools.el("summary", {}, ...summary));
    let filled = false;
    made.addEventListener("toggle", () => {
      if (filled || !made.open) return;
      filled = true;
      made.append(fill());
    });
    return made;
  }

  function items(group, tools, go) {
    const { el } = tools;
    return el(
      "ul",
      {},
      ...group.children.map((child) =>
        el("li", {}, child.children ? module(child, tools, go) : node(child, tools, go)),
      ),
    );
  }

  function module(group, tools, go) {
    const { el } = tools;
    const facts = el("span", { class: "graph-small" }, ` ${group.operators} operators`);
    const fill = () => {
      const about = el(
        "button",
        { type: "button", class: "graph-link", onClick: () => go(group) },
        "about this module",
      );
      return el("div", {}, about, items(group, tools, go));
    };
    return opening(tools, [group.label, facts], fill, "graph-module");
  }

  function node(item, tools, go) {
    const { el } = tools;
    const kind = item.kind && item.kind !== "exact" ? `, ${item.kind}` : "";
    const text = `${item.operator}, ${item.shape}${kind}`;
    return [
      el("button", { type: "button", class: "graph-link", onClick: () => go(item) }, item.name),
      el("span", { class: "graph-small" }, ` ${text}`),
    ];
  }
})();
