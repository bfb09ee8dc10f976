"use strict";
/* What the activation graph shows: cells of enough samples, of a class, of some layers; the path of a sample. */
(function () {
  const graph = (splinegraph.graph = splinegraph.graph || {});

  /** Return what chooses the cells that are shown; `redraw` is called after a change. */
  graph.cellFilters = function (view, redraw) {
    const { el } = view.tools;
    const { model } = view;
    const option = (value, text) => el("option", { value }, text);
    const least = el("input", {
      type: "range",
      min: 0,
      max: 100,
      value: 0,
      "aria-label": "least number of samples in a cell",
    });
    const said = el("output", {});
    const label = el(
      "select",
      {},
      option("", "all"),
      ...model.labels.map((name) => option(name, graph.short(graph.named(view, name), 60))),
    );
    const from = el(
      "select",
      { "aria-label": "first layer" },
      ...model.layers.map((name, i) => option(i, graph.short(name, 24))),
    );
    const to = el(
      "select",
      { "aria-label": "last layer" },
      ...model.layers.map((name, i) => option(i, graph.short(name, 24))),
    );
    const scale = (place) => Math.max(1, Math.round(model.largest ** (place / 100)));
    view.refresh = () => {
      const { filter } = view;
      const exact = scale(Number(least.value)) === filter.least;
      if (!exact) least.value = String((100 * Math.log(filter.least)) / Math.max(1e-9, Math.log(model.largest)));
      said.textContent = `${filter.least} or more`;
      least.setAttribute("aria-valuetext", said.textContent);
      label.value = filter.label;
      [from.value, to.value] = [String(filter.from), String(filter.to)];
    };
    const changed = (change) => () => {
      change(view.filter);
      view.refresh();
      redraw();
    };
    least.addEventListener(
      "input",
      changed((filter) => (filter.least = scale(Number(least.value)))),
    );
    label.addEventListener(
      "change",
      changed((filter) => (filter.label = label.value)),
    );
    from.addEventListener(
      "change",
      changed((filter) => {
        filter.from = Number(from.value);
        filter.to = Math.max(filter.to, filter.from);
      }),
    );
    to.addEventListener(
      "change",
      changed((filter) => {
        filter.to = Number(to.value);
        filter.from = Math.min(filter.from, filter.to);
      }),
    );
    view.refresh();
    return [
      el("label", { class: "graph-group" }, "samples in a cell: ", least, said),
      model.labels.length > 1 ? el("label", { class: "graph-group" }, "class: ", label) : null,
      model.layers.length > 1 ? el("span", { class: "graph-group" }, "layers: ", from, " to ", to) : null,
    ].filter(Boolean);
  };

  /** Return a box for the number of a sample, whose path is marked. */
  graph.sampleBox = function (view) {
    const { el } = view.tools;
    const input = el("input", {
      type: "number",
      min: 0,
      step: 1,
      class: "graph-sample",
      "aria-label": "number of a sample",
    });
    const follow = () => {
      if (input.value === "") return;
      const found = graph.sampleCells(view.model, Number(input.value));
      const layers = new Set(found.cells.map((cell) => cell.layer)).size;
      const cells = found.cells.filter((cell) => view.placed.at.has(cell.id));
      view.canvas.mark(
        cells.map((cell) => cell.id),
        found.edges.map((edge) => edge.id),
      );
      const hidden =
        cells.length < found.cells.length ? `, ${found.cells.length - cells.length} of its cells are filtered out` : "";
      const where = `in ${layers} of ${view.model.layers.length} layers${hidden}`;
      const none = `no cell lists sample ${input.value}: only the first few samples of each are listed`;
      view.canvas.say(layers ? `sample ${input.value} is listed ${where}` : none);
    };
    input.addEventListener("input", follow);
    return el("label", { class: "graph-group" }, "path of sample: ", input);
  };
})();
