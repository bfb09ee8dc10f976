"use strict";

/* Samples with the templates of their largest outputs, and how template and bias make each score. */
(function () {
  const BAR = { width: 160, height: 20 };

  /** The largest size of an entry in any of a sample's templates. */
  function boundOf(rows) {
    return Math.max(...rows.map(({ template }) => Math.max(Math.abs(template.low), Math.abs(template.high)))) || 1;
  }

  /** Bars of the matching value and, from its end, of the bias; a tick at their sum. */
  function scoreBar(tools, row, rows) {
    const ends = rows.flatMap(({ matching, score }) => [0, matching, score]);
    const x = d3.scaleLinear([Math.min(...ends), Math.max(...ends)], [2, BAR.width - 2]);
    const bar = (from, to, y, name) => {
      const [left, right] = [x(Math.min(from, to)), x(Math.max(from, to))];
      return tools.svg("rect", { class: name, x: left, y, width: Math.max(right - left, 0.5), height: 7 });
    };
    const line = (at, name) => tools.svg("line", { class: name, x1: x(at), x2: x(at), y1: 0, y2: BAR.height });
    return tools.svg(
      "svg",
      { class: "score-bar", viewBox: `0 0 ${BAR.width} ${BAR.height}`, "aria-hidden": "true" },
      line(0, "score-zero"),
      bar(0, row.matching, 2, "score-matching"),
      bar(row.matching, row.score, 11, "score-bias"),
      line(row.score, "score-end"),
    );
  }

  /** The score and its two parts, in lines. */
  function sum(tools, row) {
    const line = (mark, name, value) => [
      tools.el("span", { class: mark, "aria-hidden": "true" }),
      tools.el("span", {}, name),
      tools.el("span", { class: "score-value" }, tools.number(value)),
    ];
    return tools.el(
      "span",
      { class: "score-sum" },
      ...line("swatch score-matching-mark", "⟨A, x⟩", row.matching),
      ...line("swatch score-bias-mark", "+ b", row.bias),
      ...line("score-end-mark", "= score", row.score),
    );
  }

  function cosine(tools, row) {
    return row.cosine === null || row.cosine === undefined
      ? "no cosine: one is zero"
      : `cosine ${tools.number(row.cosine)}`;
  }

  /** What an output is to the sample. */
  function role(sample, row, place) {
    const parts = [];
    if (row.output === sample.output) {
      parts.push("largest");
    } else if (place === 1) {
      parts.push("second");
    }
    if (row.output === sample.label) {
      parts.push("label");
    }
    return parts.join(", ") || "another output";
  }

  function heading(tools, sample) {
    const known = sample.label !== null && sample.label !== undefined;
    const wrong = known && sample.label !== sample.output;
    const largest = `largest output ${tools.className(sample.output)}`;
    const label = known ? `, label ${tools.className(sample.label)}` : "";
    const verdict = wrong ? tools.el("strong", { class: "bad" }, " ✗ misclassified") : "";
    return tools.el("h4", {}, `Sample ${sample.sample}: ${largest}${label}`, verdict);
  }

  /** Entry by entry product of template and input: its sum is the matching value. */
  function product(template, x) {
    const [a, b] = [splinegraph.image.decode(template), splinegraph.image.decode(x)];
    const values = a.map((value, i) => value * b[i]);
    const [low, high] = d3.extent(values);
    const step = (high - low) / 255 || 1;
    const bytes = Array.from(values, (value) => String.fromCharCode(Math.round((value - low) / step)));
    return { shape: x.shape, low, high, data: btoa(bytes.join("")) };
  }

  function large(tools, sample, row) {
    const { figure, range } = splinegraph.gallery;
    const contributions = product(row.template, sample.x);
    const name = tools.className(row.output);
    const pictures = [
      figure(tools, tools.image(sample.x, { label: "input" }), `input x, ${range(tools, sample.x)}`),
      figure(
        tools,
        tools.image(row.template, { diverging: true, label: `template of output ${name}` }),
        `template A of output ${name}, ${range(tools, row.template)}`,
      ),
      figure(
        tools,
        tools.image(contributions, { diverging: true, label: "template times input, entry by entry" }),
        `A times x entry by entry, ${range(tools, contributions)}: it adds up to ⟨A, x⟩`,
      ),
    ];
    const words = tools.el(
      "div",
      { class: "score-large" },
      scoreBar(tools, row, [row]),
      sum(tools, row),
      cosine(tools, row),
    );
    return [tools.el("div", { class: "gallery-row" }, ...pictures), words];
  }

  function card(tools, sample, open, first) {
    const { figure, opener, range } = splinegraph.gallery;
    const bound = boundOf(sample.rows);
    const input = tools.image(sample.x, { label: `input of sample ${sample.sample}, ${range(tools, sample.x)}` });
    const figures = sample.rows.map((row, place) => {
      const name = `template of output ${tools.className(row.output)} at sample ${sample.sample}`;
      const canvas = tools.image(row.template, { diverging: true, bound, label: name });
      return figure(
        tools,
        opener(tools, canvas, name, () => open(first + place)),
        tools.el("span", { class: "gallery-name" }, tools.className(row.output)),
        tools.el("span", {}, role(sample, row, place)),
        scoreBar(tools, row, sample.rows),
        sum(tools, row),
        tools.el("span", {}, cosine(tools, row)),
      );
    });
    const about = `x, ${range(tools, sample.x)}`;
    const key = splinegraph.image.key(tools, bound, sample.x.shape);
    const caption = [tools.el("span", { class: "gallery-name" }, "input"), about];
    const row = tools.el("div", { class: "gallery-row" }, figure(tools, input, ...caption), ...figures);
    const head = tools.el("div", { class: "gallery-head" }, heading(tools, sample), key);
    return tools.el("article", { class: "gallery-card" }, head, row);
  }

  splinegraph.view(
    "template-gallery",
    splinegraph.gallery.view("templates", {
      title: (tools, sample, row) => `Sample ${sample.sample}, output ${tools.className(row.output)}`,
      large,
      card,
    }),
  );
})();
