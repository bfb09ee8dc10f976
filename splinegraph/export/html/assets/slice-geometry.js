"use strict";

/* Cells of a slice: which one holds a point, which ones lie side by side, what outlines a linear region. */
(function () {
  const BUCKETS = 48;

  /** Area of a polygon that goes counterclockwise. */
  function area(polygon) {
    let twice = 0;
    for (let i = 0; i < polygon.length; i += 1) {
      const [x, y] = polygon[i];
      const [u, v] = polygon[(i + 1) % polygon.length];
      twice += x * v - u * y;
    }
    return Math.abs(twice) / 2;
  }

  /** A point well inside a convex polygon: the mean of its corners. */
  function center(polygon) {
    const sum = polygon.reduce((total, point) => [total[0] + point[0], total[1] + point[1]], [0, 0]);
    return [sum[0] / polygon.length, sum[1] / polygon.length];
  }

  /** Whether a convex polygon holds a point; corners may go either way round. */
  function holds(polygon, s, t) {
    let left = false;
    let right = false;
    for (let i = 0; i < polygon.length; i += 1) {
      const [x, y] = polygon[i];
      const [u, v] = polygon[(i + 1) % polygon.length];
      const side = (u - x) * (t - y) - (v - y) * (s - x);
      left = left || side > 0;
      right = right || side < 0;
      if (left && right) {
        return false;
      }
    }
    return polygon.length > 2;
  }

  /** The buckets of a grid that a polygon's bounding box touches. */
  function touched(polygon, extent) {
    const range = [0, 1].map((axis) => {
      const [low, high] = extent[axis];
      const places = polygon.map((point) => Math.floor((BUCKETS * (point[axis] - low)) / (high - low || 1)));
      const clip = (place) => Math.max(0, Math.min(BUCKETS - 1, place));
      return [clip(Math.min(...places)), clip(Math.max(...places))];
    });
    const found = [];
    for (let i = range[0][0]; i <= range[0][1]; i += 1) {
      for (let j = range[1][0]; j <= range[1][1]; j += 1) {
        found.push(i * BUCKETS + j);
      }
    }
    return found;
  }

  /** Sides of all cells: key of the side -> {cells, ends}. */
  function sidesOf(polygons) {
    const numbers = new Map();
    const number = (point) => {
      const key = `${point[0]},${point[1]}`;
      if (!numbers.has(key)) {
        numbers.set(key, numbers.size);
      }
      return numbers.get(key);
    };
    const sides = new Map();
    polygons.forEach((polygon, cell) => {
      const corners = polygon.map(number);
      corners.forEach((corner, i) => {
        const next = (i + 1) % corners.length;
        const key = corner < corners[next] ? `${corner} ${corners[next]}` : `${corners[next]} ${corner}`;
        if (!sides.has(key)) {
          sides.set(key, { cells: [], ends: [polygon[i], polygon[next]] });
        }
        sides.get(key).cells.push(cell);
      });
    });
    return sides;
  }

  /** Numbers 0, 1, ... for things such that no two side by side have the same: as few as a greedy choice takes. */
  function coloring(count, neighbors) {
    const order = Array.from({ length: count }, (_, i) => i).sort(
      (a, b) => neighbors[b].size - neighbors[a].size || a - b,
    );
    const colors = new Array(count).fill(-1);
    order.forEach((one) => {
      const taken = new Set([...neighbors[one]].map((other) => colors[other]));
      let color = 0;
      while (taken.has(color)) {
        color += 1;
      }
      colors[one] = color;
    });
    return colors;
  }

  /**
   * What is asked of a picture's cells.
   *
   * @param {object} picture regions.picture of a report
   * @returns {object} polygons, areas, centers, neighbors (sets of cells), cellsOf (region -> cells), colors of the
   *   regions, locate(s, t) -> cell or -1, outline(region) -> segments, sides -> segments
   */
  function geometry(picture) {
    const polygons = picture.cells.map((corners) => corners.map((corner) => picture.vertices[corner]));
    const sides = [...sidesOf(polygons).values()];
    const cellsOf = new Map();
    picture.regions.forEach((region, cell) => {
      cellsOf.set(region, [...(cellsOf.get(region) || []), cell]);
    });
    const neighbors = polygons.map(() => new Set());
    sides.forEach(({ cells: [a, b] }) => {
      if (b !== undefined) {
        neighbors[a].add(b);
        neighbors[b].add(a);
      }
    });
    const buckets = new Map();
    polygons.forEach((polygon, cell) => {
      touched(polygon, picture.extent).forEach((bucket) => {
        buckets.set(bucket, [...(buckets.get(bucket) || []), cell]);
      });
    });
    return {
      polygons,
      areas: polygons.map(area),
      centers: polygons.map(center),
      neighbors,
      cellsOf,
      sides: sides.map((side) => side.ends),
      colors: () => regionColors(picture.regions, cellsOf, neighbors),
      locate(s, t) {
        const [bucket] = touched([[s, t]], picture.extent);
        const found = (buckets.get(bucket) || []).find((cell) => holds(polygons[cell], s, t));
        return found === undefined ? -1 : found;
      },
      outline: (region) =>
        sides
          .filter(({ cells }) => cells.filter((cell) => picture.regions[cell] === region).length === 1)
          .map((side) => side.ends),
    };
  }

  function regionColors(regions, cellsOf, neighbors) {
    const names = [...cellsOf.keys()];
    const place = new Map(names.map((name, i) => [name, i]));
    const beside = names.map(() => new Set());
    neighbors.forEach((others, cell) => {
      const one = place.get(regions[cell]);
      others.forEach((other) => {
        const two = place.get(regions[other]);
        if (one !== two) {
          beside[one].add(two);
        }
      });
    });
    const colors = coloring(names.length, beside);
    return regions.map((region) => colors[place.get(region)]);
  }

  splinegraph.sliceGeometry = { area, center, geometry };
})();
