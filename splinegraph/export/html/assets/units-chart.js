"use strict";

/* Shares of the pieces on which the units of each layer lie, and units that never switch. */
(function () {
  const MOST = 8;
  const COLORS = ["var(--line)", ...Array.from({ length: MOST - 1 }, (_, i) => `var(--s${i})`)];
  const OTHER = "var(--s7)";

  function colorOf(piece) {
    return COLORS[piece] || OTHER;
  }

  /** Pieces of a layer with their shares, those with high numbers together. */
  function partsOf(layer) {
    const shares = Object.entries(layer.share).map(([piece, share]) => [Number(piece), share]);
    const low = shares.filter(([piece]) => piece >= 0 && piece < MOST).sort((a, b) => a[0] - b[0]);
    const rest = shares.filter(([piece]) => piece < 0 || piece >= MOST).reduce((sum, [, share]) => sum + share, 0);
    const percent = (share) => `${(100 * share).toFixed(1)} %`;
    const parts = low.map(([piece, share]) => ({
      share,
      color: colorOf(piece),
      title: `piece ${piece}: ${percent(share)}`,
    }));
    return rest > 0 ? [...parts, { share: rest, color: OTHER, title: `other pieces: ${percent(rest)}` }] : parts;
  }

  function underOf(layer) {
    const units = Math.max(layer.units, 1);
    return [
      { share: layer.dead / units, color: "var(--bad)", title: `${layer.dead} dead` },
      { share: layer.always_on / units, color: "var(--warn)", title: `${layer.always_on} always on` },
    ];
  }

  function words(tools, layer) {
    const parts = [`${tools.number(layer.units)} units`];
    if (layer.dead) {
      parts.push(`${tools.number(layer.dead)} dead`);
    }
    if (layer.always_on) {
      parts.push(`${tools.number(layer.always_on)} always on`);
    }
    return parts.join(", ");
  }

  function legend(tools, layers) {
    const most = Math.max(...layers.flatMap((layer) => Object.keys(layer.share).map(Number)));
    const items = d3.range(0, Math.min(most + 1, MOST)).map((piece) => [colorOf(piece), `piece ${piece}`]);
    if (most >= MOST) {
      items.push([OTHER, `pieces ${MOST} and up`]);
    }
    items.push(["var(--bad)", "dead (thin bar)"], ["var(--warn)", "always on (thin bar)"]);
    return splinegraph.charts.legend(tools, items);
  }

  splinegraph.view("units-chart", function (element, report, tools) {
    const section = report.sections.units;
    const layers = section && !section.failed ? section.layers || [] : [];
    if (!layers.length) {
      splinegraph.charts.absence(element, tools, section ? "" : "The report has no section on units.");
    } else {
      const rows = layers.map((layer) => {
        return { name: layer.name, parts: partsOf(layer), under: underOf(layer), words: words(tools, layer) };
      });
      const label = `Shares of the pieces per layer; ${section.headline}`;
      element.append(splinegraph.charts.rows(tools, label, rows), legend(tools, layers));
      const note = "Bars: share of pairs of a sample and a unit on each piece. Thin bars: share of the layer's units.";
      element.append(tools.el("p", { class: "chart-note" }, note));
    }
    element.dataset.ready = "true";
  });
})();
