"use strict";

/* What the galleries of samples share: pictures that open larger in a dialog with previous and next. */
(function () {
  /**
   * A gallery's dialog.
   *
   * @param {HTMLElement} element the view's place
   * @param {object} tools the page's tools
   * @param {{title: string, nodes: function(): Node[]}[]} items what it goes through
   * @returns {function(number)} opens the dialog at an item
   */
  function dialogOf(element, tools, items) {
    let shown = 0;
    const title = tools.el("h4", { id: `gallery-title-${element.dataset.view}` });
    const body = tools.el("div", { class: "gallery-large" });
    const place = tools.el("span", { class: "chart-note", "aria-live": "polite" });
    const dialog = tools.el("dialog", { class: "gallery-dialog", "aria-labelledby": title.id });
    const show = (item) => {
      shown = (item + items.length) % items.length;
      title.textContent = items[shown].title;
      body.replaceChildren(...items[shown].nodes());
      place.textContent = `${shown + 1} of ${items.length}`;
    };
    const button = (text, act) => {
      const made = tools.el("button", { type: "button" }, text);
      made.addEventListener("click", act);
      return made;
    };
    const bar = tools.el(
      "div",
      { class: "chart-bar" },
      button("Previous", () => show(shown - 1)),
      button("Next", () => show(shown + 1)),
      place,
      button("Close", () => dialog.close()),
    );
    dialog.append(title, body, bar);
    dialog.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step) {
        event.preventDefault();
        show(shown + step);
      }
    });
    // a click beside the dialog closes it
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    element.append(dialog);
    return (item) => {
      show(item);
      dialog.showModal();
    };
  }

  /** A picture that opens larger. */
  function opener(tools, canvas, name, open) {
    const button = tools.el(
      "button",
      { type: "button", class: "gallery-open", "aria-label": `Enlarge: ${name}` },
      canvas,
    );
    button.addEventListener("click", open);
    return button;
  }

  /** A picture with a caption. */
  function figure(tools, picture, ...caption) {
    return tools.el("figure", { class: "gallery-figure" }, picture, tools.el("figcaption", {}, ...caption));
  }

  /** One line in place of a gallery: why there is none. */
  function absence(tools, section, name) {
    const gallery = section && section.gallery;
    const why = !section
      ? `The report has no section on ${name}.`
      : (gallery && gallery.left_out) || section.why || "The report holds no pictures of samples.";
    return tools.el("p", { class: "chart-note" }, why);
  }

  /** What is left out, if anything. */
  function rest(tools, gallery) {
    return gallery.left_out ? [tools.el("p", { class: "chart-note" }, `${gallery.left_out}.`)] : [];
  }

  /** The range of an image's entries in words. */
  function range(tools, image) {
    return `from ${tools.number(image.low)} to ${tools.number(image.high)}`;
  }

  /**
   * A view of a gallery: a card per sample, whose pictures open larger.
   *
   * @param {string} name of the section
   * @param {object} parts `title(tools, sample, row)`, `large(tools, sample, row)`, `card(tools, sample, open, first)`
   *   and, if there is one, a `note` below the cards
   * @returns {function} what draws it
   */
  function view(name, parts) {
    return function (element, report, tools) {
      const section = report.sections[name];
      const gallery = section && section.gallery;
      if (!gallery || !gallery.samples || !gallery.samples.length) {
        element.append(absence(tools, section, name));
      } else {
        const items = gallery.samples.flatMap((sample) =>
          sample.rows.map((row) => ({
            title: parts.title(tools, sample, row),
            nodes: () => parts.large(tools, sample, row),
          })),
        );
        const open = dialogOf(element, tools, items);
        let first = 0;
        const cards = gallery.samples.map((sample) => {
          const made = parts.card(tools, sample, open, first);
          first += sample.rows.length;
          return made;
        });
        element.append(tools.el("div", { class: "gallery" }, ...cards));
        element.append(...(parts.note ? [tools.el("p", { class: "chart-note" }, parts.note)] : []));
        element.append(...rest(tools, gallery));
      }
      element.dataset.ready = "true";
    };
  }

  splinegraph.gallery = { figure, opener, range, view };
})();
