"use strict";

/* Pictures of inputs and templates: tools.image(Image, {diverging, bound, label}) -> canvas. */
(function () {
  const SIDE = 168;
  const CHART = { width: 336, height: 168 };
  const BARS = 64;
  const painters = new WeakMap();

  /**
   * The entries of an image of a report.
   *
   * @param {object} image {shape, low, high, data}
   * @returns {Float64Array} in the order of the shape, last axis fastest
   */
  function decode(image) {
    const bytes = atob(image.data);
    const step = (image.high - image.low) / 255;
    return Float64Array.from(bytes, (byte) => image.low + step * byte.charCodeAt(0));
  }

  function parse(color) {
    const found = d3.rgb(color);
    return [found.r, found.g, found.b];
  }

  function mix(a, b, share) {
    return a.map((low, i) => low + (b[i] - low) * share);
  }

  /** Blue for what is negative, red for what is positive, the theme's paper at zero. */
  function divergingColor(dark, paper) {
    const [negative, positive] = dark
      ? [
          [92, 160, 255],
          [255, 104, 92],
        ]
      : [
          [26, 76, 168],
          [178, 24, 32],
        ];
    return (value, bound) => mix(paper, value < 0 ? negative : positive, Math.min(1, Math.abs(value) / bound || 0));
  }

  /** What colors one pixel, from its values in all channels that are shown together. */
  function pixelColor(image, options, theme, channels) {
    if (options.diverging) {
      const bound = boundOf(image, options);
      const color = divergingColor(theme.dark, parse(theme.paper));
      const shift = (value) => 127.5 + 127.5 * Math.max(-1, Math.min(1, value / bound || 0));
      return channels === 3 ? (values) => values.map(shift) : ([value]) => color(value, bound);
    }
    const range = image.high - image.low;
    const gray = (value) => (range > 0 ? (255 * (value - image.low)) / range : image.low > 0 ? 255 : 0);
    return (values) => (channels === 3 ? values.map(gray) : new Array(3).fill(gray(values[0])));
  }

  function boundOf(image, options) {
    return options.bound || Math.max(Math.abs(image.low), Math.abs(image.high)) || 1;
  }

  /** Paint an image; other than one or three channels are tiles, row by row. */
  function paintPixels(canvas, image, options, theme) {
    const [depth, height, width] = image.shape;
    const values = decode(image);
    const together = depth === 3 ? 3 : 1;
    const tiles = depth / together;
    const columns = Math.ceil(Math.sqrt(tiles));
    const rows = Math.ceil(tiles / columns);
    const wide = columns * width + columns - 1;
    const high = rows * height + rows - 1;
    // whole blocks of pixels stay sharp in print too
    const scale = Math.max(1, Math.ceil(SIDE / Math.max(wide, high)));
    canvas.width = wide * scale;
    canvas.height = high * scale;
    const context = canvas.getContext("2d");
    context.fillStyle = theme.line;
    context.fillRect(0, 0, canvas.width, canvas.height);
    const color = pixelColor(image, options, theme, together);
    const size = width * height;
    for (let tile = 0; tile < tiles; tile += 1) {
      const left = (tile % columns) * (width + 1);
      const top = Math.floor(tile / columns) * (height + 1);
      for (let place = 0; place < size; place += 1) {
        const parts = together === 3 ? [0, 1, 2].map((c) => values[c * size + place]) : [values[tile * size + place]];
        const [red, green, blue] = color(parts).map(Math.round);
        context.fillStyle = `rgb(${red} ${green} ${blue})`;
        context.fillRect((left + (place % width)) * scale, (top + Math.floor(place / width)) * scale, scale, scale);
      }
    }
  }

  /** Paint a vector: bars if it is short, else a line, with zero where it belongs. */
  function paintVector(canvas, image, options, theme) {
    const values = decode(image);
    const bound = options.diverging ? boundOf(image, options) : 0;
    const low = options.diverging ? -bound : Math.min(0, image.low);
    const high = options.diverging ? bound : Math.max(0, image.high);
    canvas.width = CHART.width;
    canvas.height = CHART.height;
    const context = canvas.getContext("2d");
    const y = (value) => 4 + ((CHART.height - 8) * (high - value)) / (high - low || 1);
    const step = CHART.width / Math.max(values.length, 1);
    context.clearRect(0, 0, CHART.width, CHART.height);
    context.fillStyle = theme.muted;
    context.fillRect(0, y(0) - 0.5, CHART.width, 1);
    if (values.length <= BARS) {
      const [down, up] = [theme.series[0], theme.series[3]];
      values.forEach((value, i) => {
        context.fillStyle = options.diverging ? (value < 0 ? down : up) : theme.ink;
        context.fillRect(i * step + 0.1 * step, Math.min(y(value), y(0)), 0.8 * step, Math.abs(y(value) - y(0)));
      });
      return;
    }
    context.strokeStyle = theme.ink;
    context.lineWidth = 1.5;
    context.beginPath();
    values.forEach((value, i) => context.lineTo((i + 0.5) * step, y(value)));
    context.stroke();
  }

  function repaint() {
    document.querySelectorAll("canvas.picture").forEach((canvas) => {
      const paint = painters.get(canvas);
      if (paint) {
        paint();
      }
    });
  }

  /**
   * Draw an image of a report.
   *
   * @param {object} image {shape: [C, H, W] or [n], low, high, data}
   * @param {object} [options] diverging: blue, paper, red around zero; bound: value of the full colors, for pictures
   *   that share a scale; label: what it shows, for screen readers
   * @returns {HTMLCanvasElement}
   */
  function image(picture, options = {}) {
    const label = options.label || `picture of ${picture.shape.join("×")} entries`;
    const canvas = splinegraph.tools.el("canvas", { class: "picture", role: "img", "aria-label": label });
    const vector = picture.shape.length === 1;
    const paint = () => (vector ? paintVector : paintPixels)(canvas, picture, options, splinegraph.tools.theme());
    canvas.classList.toggle("picture-vector", vector);
    painters.set(canvas, paint);
    paint();
    return canvas;
  }

  /** What the colors of pictures around zero mean, as a node; full colors are at -bound and bound. */
  function key(tools, bound, shape) {
    if (shape.length === 1) {
      return tools.el(
        "span",
        { class: "picture-key" },
        `templates from ${tools.number(-bound)} to ${tools.number(bound)}`,
      );
    }
    if (shape[0] === 3) {
      const text = `templates: gray is 0, black ${tools.number(-bound)}, white ${tools.number(bound)}, by channel`;
      return tools.el("span", { class: "picture-key" }, text);
    }
    const ramp = tools.el("span", { class: "picture-ramp", "aria-hidden": "true" });
    const ends = [-bound, bound].map((value) => tools.el("span", {}, tools.number(value)));
    return tools.el("span", { class: "picture-key" }, "templates: ", ends[0], ramp, ends[1]);
  }

  splinegraph.tools.image = image;
  splinegraph.image = { decode, key };
  splinegraph.tools.onTheme(repaint);
})();
