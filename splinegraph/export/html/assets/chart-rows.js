"use strict";

/* Rows of horizontal bars with names and words: readable at any width, and as plain text. */
(function () {
  /** A stacked bar; each part is a share of the whole. */
  function bar(tools, parts, name) {
    const made = parts.map(({ share, color, title }) => {
      const style = `width: ${(100 * share).toFixed(3)}%; background: ${color}`;
      return tools.el("span", { class: "rows-part", style, title });
    });
    return tools.el("div", { class: name, "aria-hidden": "true" }, ...made);
  }

  /**
   * Rows of bars.
   *
   * @param {object} tools the page's tools
   * @param {string} label the finding in words
   * @param {{name: string, parts: object[], under: object[]?, words: string}[]} rows parts and under hold
   *   {share, color, title}
   * @returns {HTMLElement}
   */
  function rows(tools, label, found) {
    const items = found.map((row) => {
      const bars = [bar(tools, row.parts, "rows-bar"), ...(row.under ? [bar(tools, row.under, "rows-under")] : [])];
      return tools.el(
        "li",
        { class: "rows-row" },
        tools.el("span", { class: "rows-name" }, row.name),
        tools.el("span", { class: "rows-bars" }, ...bars),
        tools.el("span", { class: "rows-words" }, row.words),
      );
    });
    const box = tools.el("div", { class: "rows-box", role: "region", "aria-label": label, tabindex: "0" });
    box.append(tools.el("ol", { class: "rows" }, ...items));
    return box;
  }

  /** A legend of colored squares. */
  function legend(tools, items) {
    const made = items.map(([color, text]) => {
      const square = tools.el("span", { class: "swatch", style: `background: ${color}` });
      return tools.el("span", { class: "legend-item" }, square, text);
    });
    return tools.el("div", { class: "chart-legend" }, ...made);
  }

  /** A note in place of a picture; nothing where the section says it all. */
  function absence(element, tools, text) {
    if (text) {
      element.append(tools.el("p", { class: "chart-note" }, text));
    } else {
      (element.closest("figure") || element).hidden = true;
    }
  }

  /** A name cut to what a picture has room for. */
  function short(name, most) {
    return name.length > most ? `${name.slice(0, most - 1)}…` : name;
  }

  splinegraph.charts = { absence, legend, rows, short };
})();
