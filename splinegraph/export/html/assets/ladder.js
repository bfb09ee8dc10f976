"use strict";

/* The Lipschitz ladder: what each method gave, lower ends rising and upper ends falling, on a logarithmic axis. */
(function () {
  const HEIGHT = 30;
  const PAD = 1.1;
  const ROOM = 58;

  const SIDES = { lower: "lower bound", upper: "upper bound", both: "lower and upper bound" };

  function positive(value) {
    return typeof value === "number" && Number.isFinite(value) && value > 0;
  }

  /** The range of all ends, with room at both sides; null if there is no end to draw. */
  function rangeOf(bounds) {
    const values = bounds.flatMap(({ rungs, lower, upper }) => {
      return [lower, upper, ...rungs.flatMap((rung) => [rung.lower, rung.upper])].filter(positive);
    });
    if (!values.length) {
      return null;
    }
    const [low, high] = d3.extent(values);
    const pad = high > low ? PAD : 2;
    return [low / pad, high * pad];
  }

  /** Best ends after each rung. */
  function running(rungs) {
    let [lower, upper] = [null, null];
    return rungs.map((rung) => {
      lower = positive(rung.lower) ? Math.max(rung.lower, lower || 0) : lower;
      upper = positive(rung.upper) ? Math.min(rung.upper, upper === null ? Infinity : upper) : upper;
      return { ...rung, best: [lower, upper] };
    });
  }

  /** A triangle that points to where the constant may lie. */
  function mark(tools, x, side) {
    const tip = side === "lower" ? 8 : -8;
    const points = `${x},7 ${x},23 ${x + tip},15`;
    return tools.svg("polygon", { class: `ladder-${side}`, points });
  }

  /** The number beside its mark, where the constant is not. */
  function text(tools, x, value, side) {
    const [at, anchor] = side === "lower" ? [x - 5, "end"] : [x + 5, "start"];
    return tools.svg("text", { class: "ladder-value", x: at, y: 19.5, "text-anchor": anchor }, tools.number(value));
  }

  function track(tools, x, width, rung) {
    const [low, high] = rung.best;
    const [left, right] = [low === null ? 0 : x(low), high === null ? width : x(high)];
    const known = tools.svg("rect", {
      class: "ladder-known",
      x: left,
      y: 11,
      width: Math.max(right - left, 0),
      height: 8,
    });
    const marks = ["lower", "upper"].filter((side) => positive(rung[side]));
    return tools.svg(
      "svg",
      { class: "ladder-track", viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" },
      known,
      ...marks.map((side) => mark(tools, x(rung[side]), side)),
      ...marks.map((side) => text(tools, x(rung[side]), rung[side], side)),
    );
  }

  /** The ends of a rung in words. */
  function ends(tools, rung) {
    const told = [];
    if (positive(rung.lower) || rung.lower === 0) {
      told.push(`at least ${tools.number(rung.lower)}`);
    }
    if (positive(rung.upper) || rung.upper === 0) {
      told.push(`at most ${tools.number(rung.upper)}`);
    }
    return told.join(", ") || "nothing";
  }

  function row(tools, x, width, rung) {
    const note = rung.note ? [tools.el("span", { class: "ladder-note" }, rung.note)] : [];
    const kind = tools.el("span", { class: "ladder-note" }, SIDES[rung.side] || "");
    const words = tools.el("span", { class: "sr-only" }, `: ${ends(tools, rung)}`);
    const name = tools.el("div", { class: "ladder-name" }, tools.el("span", {}, rung.method), kind, ...note, words);
    return tools.el("li", { class: "ladder-row" }, name, track(tools, x, width, rung));
  }

  /** The best of both sides together. */
  function result(tools, x, width, bound) {
    const best = [positive(bound.lower) ? bound.lower : null, positive(bound.upper) ? bound.upper : null];
    const rung = { lower: bound.lower, upper: bound.upper, best };
    const drawn = track(tools, x, width, rung);
    drawn.classList.add("ladder-result");
    const words = tools.el("span", { class: "sr-only" }, `: ${ends(tools, rung)}`);
    const factor = best[0] && best[1] ? `a factor of ${tools.number(best[1] / best[0])} apart` : "";
    const note = tools.el("span", { class: "ladder-note" }, factor);
    const name = tools.el("div", { class: "ladder-name" }, tools.el("strong", {}, "best of both"), note, words);
    return tools.el("li", { class: "ladder-row ladder-best" }, name, drawn);
  }

  function axis(tools, x, width) {
    const svg = tools.svg("svg", { class: "ladder-track", viewBox: `0 0 ${width} 22`, "aria-hidden": "true" });
    const ticks = splinegraph.depth.logTicks(x.domain(), Math.max(3, width / 70));
    const made = d3.axisBottom(x).tickSizeOuter(0).tickValues(ticks).tickFormat(splinegraph.depth.tick);
    d3.select(svg).attr("class", "ladder-track chart-axis").call(made);
    return tools.el("div", { class: "ladder-row" }, tools.el("div", {}), svg);
  }

  function ladder(element, tools, bound, range) {
    const rows = running(bound.rungs);
    const list = tools.el("ol", { class: "ladder", "aria-label": `${bound.title}: what each method gave` });
    element.append(tools.el("h4", { class: "chart-title" }, bound.title), list);
    const narrow = element.clientWidth < 520;
    const width = Math.max(240, Math.min(620, (element.clientWidth || 720) - (narrow ? 0 : 210)));
    const x = d3.scaleLog(range, [ROOM, width - ROOM]);
    list.append(...rows.map((rung) => row(tools, x, width, rung)), result(tools, x, width, bound));
    element.append(axis(tools, x, width));
  }

  /** The bounds that a section holds: on its domain, and in the box around the samples. */
  function boundsOf(section) {
    const norm = section.norm === "inf" ? "maximum norm" : "l2";
    const where = { space: "on all of space", box: "in the box around the samples" }[section.domain] || "";
    const found = [{ ...section, title: `Lipschitz constant in ${norm} ${where}`.trim(), rungs: section.rungs || [] }];
    if (section.local) {
      const rungs = section.local.rungs || [];
      found.push({ ...section.local, title: `Lipschitz constant in ${norm} in the box around the samples`, rungs });
    }
    return found.filter((bound) => bound.rungs.length || positive(bound.lower) || positive(bound.upper));
  }

  splinegraph.view("ladder", function (element, report, tools) {
    const section = report.sections.lipschitz;
    const bounds = section && !section.failed ? boundsOf(section) : [];
    const range = rangeOf(bounds);
    if (!range) {
      const why = (section && section.why) || "The report holds no bounds of the Lipschitz constant.";
      element.append(tools.el("p", { class: "chart-note" }, why));
    } else {
      bounds.forEach((bound) => ladder(element, tools, bound, range));
      const note =
        "Triangles: what a method proves, ▸ a lower bound, ◂ an upper bound; they point to where the constant is. " +
        "Bars: what is left once the method has run. The axis is logarithmic.";
      element.append(tools.el("p", { class: "chart-note" }, note));
    }
    element.dataset.ready = "true";
  });
})();
