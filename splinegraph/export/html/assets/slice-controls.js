"use strict";

/* Pointer, wheel, buttons and keys of a slice. */
(function () {
  const FARTHEST = 400;
  const HINT =
    "Point at a cell or walk with the arrow keys; click or press Enter to keep it. After a click the wheel zooms; " +
    "drag to move; keys + and − zoom, Shift and arrows move, 0 shows all.";

  function button(tools, text, name, act) {
    const made = tools.el("button", { type: "button", "aria-label": name, title: name }, text);
    made.addEventListener("click", act);
    return made;
  }

  /** The slice's coordinates of a pointer event. */
  function coordinates(view, event) {
    const [px, py] = d3.pointer(event, view.svg.node());
    const [x, y] = view.transform.invert([px, py]);
    return [view.x.invert(x), view.y.invert(y)];
  }

  /** The neighbor of the shown cell that lies most in a direction of the picture; -1 if none does. */
  function toward(view, direction) {
    const screen = (cell) => [view.x(view.shape.centers[cell][0]), view.y(view.shape.centers[cell][1])];
    const [x, y] = screen(view.cell);
    let best = -1;
    let most = 0.25;
    view.shape.neighbors[view.cell].forEach((cell) => {
      const [u, v] = screen(cell);
      const cosine = ((u - x) * direction[0] + (v - y) * direction[1]) / (Math.hypot(u - x, v - y) || 1);
      if (cosine > most) {
        most = cosine;
        best = cell;
      }
    });
    return best;
  }

  function zooming(view) {
    const box = [
      [0, 0],
      [view.width, view.height],
    ];
    const alone = (event) => event.type === "wheel" || (event.touches && event.touches.length === 1);
    const inside = (event) => !alone(event) || event.ctrlKey || view.svg.node() === document.activeElement;
    const zoom = d3.zoom().scaleExtent([1, FARTHEST]).extent(box).translateExtent(box);
    const scrolls = (event) => event.type === "touchstart" && !event.cancelable; // the page follows the finger
    // the page scrolls under pointer and finger until the picture is clicked
    zoom.filter((event) => inside(event) && !event.button && !scrolls(event));
    zoom.on("zoom", (event) => {
      view.transform = event.transform;
      view.move();
    });
    view.svg.call(zoom).on("dblclick.zoom", null);
    const center = () => {
      const [s, t] = view.shape.centers[view.cell];
      return [view.x(s), view.y(t)];
    };
    return {
      by: (factor) => view.svg.call(zoom.scaleBy, factor),
      around: (factor) => view.svg.call(zoom.scaleBy, factor, view.transform.apply(center())),
      follow() {
        const [x, y] = view.transform.apply(center());
        if (x < 0 || y < 0 || x > view.width || y > view.height) {
          view.svg.call(zoom.translateTo, ...center());
        }
      },
      reset: () => view.svg.call(zoom.transform, d3.zoomIdentity),
      pan: (dx, dy) => view.svg.call(zoom.translateBy, dx / view.transform.k, dy / view.transform.k),
    };
  }

  function pointing(view) {
    view.svg.on("pointermove", (event) => {
      const at = coordinates(view, event);
      const cell = view.shape.locate(at[0], at[1]);
      if (cell >= 0 && (!view.pinned || cell === view.cell)) {
        view.show(cell, at);
      }
    });
    view.svg.on("click", (event) => {
      const at = coordinates(view, event);
      const cell = view.shape.locate(at[0], at[1]);
      if (cell >= 0) {
        view.pinned = !(view.pinned && cell === view.cell);
        view.show(cell, at, true);
      }
    });
  }

  function keys(view, zoom, go) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const acts = {
      "+": () => zoom.around(1.5),
      "=": () => zoom.around(1.5),
      "-": () => zoom.around(1 / 1.5),
      0: zoom.reset,
      Escape: () => view.keep(false),
      Enter: () => view.keep(!view.pinned),
      " ": () => view.keep(!view.pinned),
    };
    view.svg.on("keydown", (event) => {
      const step = steps[event.key];
      if (event.ctrlKey || event.metaKey || event.altKey || (!step && !acts[event.key])) {
        return;
      }
      event.preventDefault();
      if (step && event.shiftKey) {
        zoom.pan(-60 * step[0], -60 * step[1]);
      } else if (step) {
        go(toward(view, step));
      } else {
        acts[event.key]();
      }
    });
  }

  function radios(view, tools, modes) {
    const norms = view.picture.norms && view.picture.norms.some((norm) => norm !== null);
    const group = tools.el("fieldset", { class: "chart-choice" }, tools.el("legend", {}, "Color by"));
    modes.forEach(([mode, name]) => {
      const input = tools.el("input", { type: "radio", name: "slice-color", value: mode });
      input.checked = mode === view.mode;
      input.disabled = mode === "norm" && !norms;
      input.addEventListener("change", () => view.recolor(mode));
      const text = mode === "class" ? view.largest : name;
      group.append(tools.el("label", {}, input, text));
    });
    return group;
  }

  /**
   * Make a drawn slice answer to pointer, wheel, buttons and keys.
   *
   * @param {object} view the slice's state; see slice.js
   * @param {object} tools the page's tools
   * @param {string[][]} modes names of the colorings
   */
  splinegraph.sliceControls = function (view, tools, modes) {
    const zoom = zooming(view);
    const bySize = d3.sort(d3.range(view.picture.cells.length), (cell) => -view.shape.areas[cell]);
    const go = (cell) => {
      if (cell >= 0) {
        view.show(cell, null, true);
        zoom.follow();
      }
    };
    const along = (by) => () => {
      const place = bySize.indexOf(view.cell) + by;
      go(bySize[(place + bySize.length) % bySize.length]);
    };
    view.keep = (pinned) => {
      view.pinned = pinned;
      view.show(view.cell, view.at, true);
    };
    view.pin.addEventListener("click", () => view.keep(!view.pinned));
    pointing(view);
    keys(view, zoom, go);
    const zooms = [
      button(tools, "+", "Zoom in", () => zoom.by(2)),
      button(tools, "−", "Zoom out", () => zoom.by(0.5)),
      button(tools, "All", "Show the whole slice", zoom.reset),
    ];
    const walk = [
      button(tools, "Largest", "Show the largest cell", () => go(bySize[0])),
      button(tools, "‹", "Show the next larger cell", along(-1)),
      button(tools, "›", "Show the next smaller cell", along(1)),
    ];
    const groups = [zooms, walk].map((buttons) => tools.el("span", { class: "chart-buttons" }, ...buttons));
    view.bar.append(radios(view, tools, modes), ...groups);
    view.element.append(tools.el("p", { class: "chart-note no-print" }, HINT));
  };
})();
