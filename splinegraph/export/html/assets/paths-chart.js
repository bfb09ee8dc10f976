"use strict";

/* What families of paths give to the largest output. */
(function () {
  const MOST = 200;

  function words(tools, family) {
    const paths =
      family.paths === null || family.paths === undefined
        ? ""
        : `, ${tools.number(family.paths)} path${family.paths === 1 ? "" : "s"}`;
    const given = `inputs ${tools.number(family.inputs)}, biases ${tools.number(family.biases)}`;
    return `${(100 * family.share).toFixed(1)} %: ${given}${paths}`;
  }

  function bars(tools, families, title, color) {
    const most = Math.max(...families.map((family) => family.share)) || 1;
    const rows = families.slice(0, MOST).map((family) => {
      const share = Math.max(0, family.share / most);
      return { name: family.name, parts: [{ share, color, title: family.name }], words: words(tools, family) };
    });
    const more = families.length > MOST ? [tools.el("p", { class: "chart-note" }, `The first ${MOST} of them.`)] : [];
    return [tools.el("h4", { class: "chart-title" }, title), splinegraph.charts.rows(tools, title, rows), ...more];
  }

  splinegraph.view("paths-chart", function (element, report, tools) {
    const section = report.sections.paths;
    const families = section && !section.failed ? section.families || [] : [];
    if (families.length < 2) {
      splinegraph.charts.absence(element, tools, section ? "" : "The report has no section on paths.");
    } else {
      const by = section.by === "time" ? "By time step" : "By number of residual branches passed";
      element.append(...bars(tools, families, by, "var(--s0)"));
      if ((section.blocks || []).length) {
        element.append(...bars(tools, section.blocks, "Through each residual branch (these overlap)", "var(--s1)"));
      }
      const note =
        "Bars: mean size of what a family carries to the largest output, relative to the sum of the sizes; the " +
        "longest fills the row. Inputs and biases: signed means.";
      element.append(tools.el("p", { class: "chart-note" }, note));
    }
    element.dataset.ready = "true";
  });
})();
