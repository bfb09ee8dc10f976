"use strict";

/* Samples beside what their outputs and codes give back. */
(function () {
  const NAMES = {
    adjoint: ["Aᵀf(x)", "adjoint: outputs sent back through the templates"],
    least_squares: ["least squares", "the projection of x to the span of the templates"],
  };

  function error(tools, row) {
    return row.error === null || row.error === undefined ? "error not known" : `error ${tools.number(row.error)}`;
  }

  function nameOf(row) {
    return NAMES[row.name] || [row.name, row.name];
  }

  /** Pictures around zero where there are entries below it. */
  function picture(tools, image, label) {
    return tools.image(image, { diverging: image.low < 0, label });
  }

  function large(tools, sample, row) {
    const { figure, range } = splinegraph.gallery;
    const [short, long] = nameOf(row);
    return [
      tools.el(
        "div",
        { class: "gallery-row" },
        figure(tools, picture(tools, sample.x, "input"), `x, ${range(tools, sample.x)}`),
        figure(tools, picture(tools, row.image, long), `${short}, ${range(tools, row.image)}`),
      ),
      tools.el("p", {}, `${long}; ${error(tools, row)}`),
    ];
  }

  function card(tools, sample, open, first) {
    const { figure, opener, range } = splinegraph.gallery;
    const figures = sample.rows.map((row, place) => {
      const [short, long] = nameOf(row);
      const name = `${long} of sample ${sample.sample}`;
      return figure(
        tools,
        opener(tools, picture(tools, row.image, name), name, () => open(first + place)),
        tools.el("span", { class: "gallery-name" }, short),
        tools.el("span", {}, error(tools, row)),
        tools.el("span", {}, range(tools, row.image)),
      );
    });
    const input = picture(tools, sample.x, `input of sample ${sample.sample}, ${range(tools, sample.x)}`);
    const shown = figure(tools, input, tools.el("span", { class: "gallery-name" }, "x"), range(tools, sample.x));
    const row = tools.el("div", { class: "gallery-row" }, shown, ...figures);
    const head = tools.el("div", { class: "gallery-head" }, tools.el("h4", {}, `Sample ${sample.sample}`));
    return tools.el("article", { class: "gallery-card" }, head, row);
  }

  splinegraph.view(
    "encoding-gallery",
    splinegraph.gallery.view("encoding", {
      title: (tools, sample, row) => `Sample ${sample.sample}: ${nameOf(row)[0]}`,
      large,
      card,
      note:
        "Error: |x − u|²/|x|² of what comes back, u. Each picture has a scale of its own; blue is negative and red " +
        "positive where there are entries below 0.",
    }),
  );
})();
