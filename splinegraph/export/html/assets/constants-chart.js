"use strict";

/* Lipschitz constants node by node: each operator's own, and that of its value as a function of the input. */
(function () {
  const NAMED = 5;
  const TIP = { fill: "var(--paper)", stroke: "var(--line)" };

  function positive(value) {
    return typeof value === "number" && Number.isFinite(value) && value > 0;
  }

  function title(tools, row) {
    const told = (value) => (value === null || value === undefined ? "none" : tools.number(value));
    return `${row.node}\nown at most ${told(row.own)}\nfrom the input at most ${told(row.total)}`;
  }

  /** Ticks of a logarithmic axis as plain numbers, few of them. */
  function log(values) {
    const [low, high] = d3.extent([1, ...values]);
    const domain = [low / 1.3, high * 1.3];
    const ticks = splinegraph.depth.logTicks(domain, 7);
    return { type: "log", domain, label: null, grid: true, ticks, tickFormat: splinegraph.depth.tick };
  }

  function totals(tools, rows, names, width) {
    const known = rows.filter((row) => positive(row.total));
    return splinegraph.depth.chart(
      {
        finding: `Upper bounds from the input to each operator; the last is ${tools.number(known[known.length - 1].total)}`,
        y: log(known.map((row) => row.total)),
        marks: [
          Plot.lineY(known, { x: "i", y: "total", stroke: "var(--s0)", strokeWidth: 2, curve: "step" }),
          Plot.dot(known, {
            x: "i",
            y: "total",
            r: splinegraph.depth.radius(known.length),
            fill: "var(--s0)",
            title: (row) => title(tools, row),
            tip: TIP,
          }),
        ],
      },
      names,
      width,
    );
  }

  function owns(tools, rows, names, width, largest) {
    const known = rows.filter((row) => positive(row.own));
    return splinegraph.depth.chart(
      {
        finding: `Own constants of the operators; largest: ${largest.map((row) => row.node).join(", ")}`,
        y: log(known.map((row) => row.own)),
        marks: [
          Plot.rectY(known, {
            x: "i",
            y1: 1,
            y2: "own",
            fill: "var(--s1)",
            title: (row) => title(tools, row),
            tip: TIP,
          }),
          Plot.ruleY([1], { stroke: "var(--muted)" }),
        ],
      },
      names,
      width,
    );
  }

  /** Buttons that open the nodes with the largest constants in the operator graph. */
  function buttons(tools, largest) {
    const made = largest.map((row) => {
      const button = tools.el("button", { type: "button" }, `${row.node} ${tools.number(row.own)}`);
      button.addEventListener("click", () => tools.showNode(row.node));
      return button;
    });
    const label = tools.el("span", { class: "chart-note" }, "Largest of their own:");
    return tools.el("div", { class: "chart-buttons constants-largest" }, label, ...made);
  }

  function panel(tools, name, width, chart) {
    const svg = chart.querySelector(".depth-chart");
    // Plot keeps what the pointer is at as the chart's value
    svg.addEventListener("click", () => svg.value && tools.showNode(svg.value.node));
    return splinegraph.depth.panel(tools, name, width, chart);
  }

  splinegraph.view("constants-chart", function (element, report, tools) {
    const section = report.sections.lipschitz;
    const constants = (section && !section.failed && section.constants) || {};
    const rows = Object.entries(constants).map(([node, [own, total]], i) => ({ node, own, total, i }));
    if (rows.filter((row) => positive(row.own)).length < 2 || !rows.some((row) => positive(row.total))) {
      splinegraph.charts.absence(element, tools, section ? "" : "The report has no section on Lipschitz constants.");
    } else {
      const names = rows.map((row) => row.node);
      const width = splinegraph.depth.widthOf(element, 2);
      const above = rows.filter((row) => positive(row.own) && row.own > 1);
      const largest = d3.sort(above, (row) => -row.own).slice(0, NAMED);
      const panels = [
        panel(tools, "From the input to each operator, at most", width, totals(tools, rows, names, width)),
        panel(tools, "Of each operator alone", width, owns(tools, rows, names, width, largest)),
      ];
      element.append(tools.el("div", { class: "chart-panels" }, ...panels));
      if (largest.length) {
        element.append(buttons(tools, largest));
      }
    }
    element.dataset.ready = "true";
  });
})();
