"use strict";

/* Where to write the names of the classes in a slice: deep inside of what each of them holds. */
(function () {
  const GRID = 40;
  const SHALLOW = 2.5;

  /** The largest output on a grid of points; null where no cell is, or where a sample is near. */
  function owners(view) {
    const [[s0, s1], [t0, t1]] = view.picture.extent;
    const points = view.picture.points || [];
    const near = ([s, t]) =>
      points.length <= 30 &&
      points.some(({ at }) => Math.abs(at[0] - s) < 0.06 * (s1 - s0) && Math.abs(at[1] - t) < 0.06 * (t1 - t0));
    return d3.range(GRID * GRID).map((place) => {
      const s = s0 + ((s1 - s0) * ((place % GRID) + 0.5)) / GRID;
      const t = t0 + ((t1 - t0) * (Math.floor(place / GRID) + 0.5)) / GRID;
      const cell = view.shape.locate(s, t);
      const output = cell < 0 || near([s, t]) ? null : view.largestAt(cell, [s, t]);
      return { at: [s, t], output, x: place % GRID, y: Math.floor(place / GRID) };
    });
  }

  /** The point of a class that is farthest from all points of others and from the frame. */
  function deepest(points, output) {
    const others = points.filter((point) => point.output !== output);
    const depth = (point) => {
      const frame = Math.min(point.x, point.y, GRID - 1 - point.x, GRID - 1 - point.y) + 1;
      return others.reduce((least, other) => Math.min(least, Math.hypot(other.x - point.x, other.y - point.y)), frame);
    };
    const own = points.filter((point) => point.output === output).map((point) => ({ point, depth: depth(point) }));
    return own.reduce((best, one) => (one.depth > best.depth ? one : best), { depth: 0 });
  }

  /**
   * Marks for the classes that hold enough of a slice; none if one holds all.
   *
   * @param {object} view the slice's state
   * @returns {{at: number[], text: string}[]}
   */
  splinegraph.sliceMarks = function (view) {
    const points = owners(view);
    const known = [...new Set(points.map((point) => point.output))].filter((output) => output !== null);
    if (view.shares.size < 2) {
      return [];
    }
    const found = known.map((output) => ({ output, ...deepest(points, output) }));
    const deep = found.filter((mark) => mark.depth >= SHALLOW);
    return deep.map(({ output, point }) => ({
      at: point.at,
      text: splinegraph.charts.short(view.className(output), 24),
    }));
  };
})();
