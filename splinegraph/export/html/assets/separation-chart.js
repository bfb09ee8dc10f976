"use strict";

/* How far apart the codes of classes are, layer by layer. */
(function () {
  function line(rows, key, color, name, tools) {
    const known = rows.filter((row) => typeof row[key] === "number");
    const title = (row) => `${row.node}\n${name}: ${(100 * row[key]).toFixed(1)} %`;
    return [
      Plot.lineY(known, { x: "i", y: key, stroke: color, strokeWidth: 2 }),
      Plot.dot(known, {
        x: "i",
        y: key,
        fill: color,
        r: splinegraph.depth.radius(known.length),
        title,
        tip: { fill: "var(--paper)", stroke: "var(--line)" },
      }),
    ];
  }

  function percents(tools) {
    return { domain: [0, 1], label: null, grid: true, tickFormat: (share) => `${tools.number(100 * share)} %` };
  }

  /** One chart with its title and legend. */
  function panel(tools, width, rows, names, { title, lines, marks = [], extra = [] }) {
    const last = rows[rows.length - 1];
    const ends = lines.filter(([key]) => typeof last[key] === "number");
    const told = ends.map(([key, , name]) => `${name} ${(100 * last[key]).toFixed(1)} % in the last layer`);
    const svg = splinegraph.depth.chart(
      {
        finding: `${title}: ${told.join("; ")}`,
        y: percents(tools),
        marks: [...marks, ...lines.flatMap(([key, color, name]) => line(rows, key, color, name, tools))],
      },
      names,
      width,
    );
    const legend = splinegraph.charts.legend(tools, [...lines.map(([, color, name]) => [color, name]), ...extra]);
    return splinegraph.depth.panel(tools, title, width, legend, svg);
  }

  splinegraph.view("separation-chart", function (element, report, tools) {
    const section = report.sections.separation;
    const layers = section && !section.failed ? section.layers || [] : [];
    const rows = layers.map((layer, i) => ({ ...layer, i }));
    const judged = rows.some((row) => typeof row.purity === "number");
    if (rows.length < 2) {
      splinegraph.charts.absence(element, tools, section ? "" : "The report has no section on separation.");
    } else {
      const names = rows.map((row) => row.node);
      const width = splinegraph.depth.widthOf(element, judged ? 2 : 1);
      const distances = {
        title: "Mean distance of two codes, as a share of the largest possible",
        lines: judged
          ? [
              ["within", "var(--s0)", "within a class"],
              ["between", "var(--s1)", "between classes"],
            ]
          : [["mean", "var(--s0)", "all pairs"]],
      };
      const panels = [panel(tools, width, rows, names, distances)];
      if (judged) {
        const chance = typeof section.chance === "number" ? [section.chance] : [];
        const marks = [Plot.ruleY(chance, { stroke: "var(--muted)", strokeDasharray: "4 3" })];
        const lines = [
          ["purity", "var(--s2)", "nearest is of the class"],
          ["order", "var(--s4)", "within is nearer"],
        ];
        const extra = chance.length ? [["var(--muted)", `chance ${(100 * chance[0]).toFixed(1)} % (dashed)`]] : [];
        panels.unshift(
          panel(tools, width, rows, names, { title: "Share of neighbors and of pairs", lines, marks, extra }),
        );
      }
      element.append(tools.el("div", { class: "chart-panels" }, ...panels));
    }
    element.dataset.ready = "true";
  });
})();
