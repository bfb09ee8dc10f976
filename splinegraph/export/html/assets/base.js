/* The page's frame: reads the report once, mounts views as they come near, themes, printing.
 *
 * A view is a script that registers itself:
 *
 *   splinegraph.view("ladder", function (element, report, tools) { ... });
 *
 * It is called once, with its place (<div class="view" data-view="ladder">), the report as parsed from the page and
 * the tools below. What it throws is shown in its place and reaches no one else.
 */
"use strict";

const splinegraph = (function () {
  const SVG = "http://www.w3.org/2000/svg";
  const SERIES = 10;
  const views = new Map();
  const places = new Map();
  const themed = [];
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  let held = null;
  let printing = false;

  /** The report, parsed when it is first asked for. */
  function report() {
    if (held === null) {
      held = JSON.parse(document.getElementById("report-data").textContent);
      const inputs = (held.sections || {}).inputs || {};
      tools.classes = Array.isArray(inputs.classes) ? inputs.classes.map(String) : [];
    }
    return held;
  }

  /** Registers what draws the places of a name. */
  function view(name, draw) {
    views.set(name, draw);
  }

  // tools

  function set(node, attributes) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on") && typeof value === "function") {
        node.addEventListener(name.slice(2).toLowerCase(), value);
      } else if (name === "dataset" || name === "style") {
        if (typeof value === "string") node.setAttribute(name, value);
        else for (const [key, item] of Object.entries(value)) {
          if (name === "style" && key.includes("-")) node.style.setProperty(key, item);
          else node[name][key] = item;
        }
      } else {
        node.setAttribute(name, value === true ? "" : value);
      }
    }
    return node;
  }

  function fill(node, children) {
    for (const child of children.flat(Infinity)) {
      if (child === null || child === undefined || child === false) continue;
      node.append(child instanceof Node ? child : String(child));
    }
    return node;
  }

  const tools = {
    /** Names of the classes; [] where there are none. */
    classes: [],

    /**
     * Makes an element. Attributes: strings; `on...` functions are listeners; `dataset` and `style` take objects;
     * null and false are left out. Children: nodes, or anything else as text; null and false are left out.
     */
    el(tag, attributes, ...children) {
      return fill(set(document.createElement(tag), attributes), children);
    },

    /** Makes an SVG element, as `el` does. */
    svg(tag, attributes, ...children) {
      return fill(set(document.createElementNS(SVG, tag), attributes), children);
    },

    /** A number in 4 significant digits, as text; an en dash for what is no number. */
    number(x) {
      if (typeof x !== "number" || !Number.isFinite(x)) return "–";
      if (Number.isInteger(x) && Math.abs(x) < 1e15) return x.toLocaleString("en-US");
      const size = Math.abs(x);
      if (size >= 1e6 || size < 1e-4) return x.toExponential(3).replace(/\.?0+e/, "e").replace("e+", "e");
      return String(Number(x.toPrecision(4)));
    },

    /** Name of a class, or its number as text. */
    className(i) {
      return i === null || i === undefined ? "–" : tools.classes[i] === undefined ? String(i) : tools.classes[i];
    },

    /** The colors that hold now, of CSS variables. */
    theme() {
      const style = getComputedStyle(root);
      const read = (name) => style.getPropertyValue("--" + name).trim();
      const found = { series: Array.from({ length: SERIES }, (_, i) => read("s" + i)), dark: isDark() };
      for (const name of ["ink", "muted", "line", "paper", "panel", "accent", "good", "bad", "warn"]) {
        found[name] = read(name);
      }
      return found;
    },

    /** Calls a function whenever the colors have changed. */
    onTheme(changed) {
      themed.push(changed);
    },

    /** Opens a node's details in the operator graph. That view listens to "show-node" on its element. */
    showNode(name) {
      const place = document.querySelector('[data-view="operator-graph"]');
      if (!place) return;
      mount(place);
      place.scrollIntoView({ block: "start" });
      place.dispatchEvent(new CustomEvent("show-node", { detail: name }));
    },
  };

  // mounting

  /** Draws a view, once. */
  function mount(element) {
    if (places.get(element) !== false) return;
    places.set(element, true);
    element.replaceChildren();
    const draw = views.get(element.dataset.view);
    try {
      if (!draw) throw new Error("this page has no such picture");
      draw(element, report(), tools);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      element.replaceChildren(tools.el("p", { class: "missing" }, "This picture could not be drawn: " + why + "."));
      element.dataset.failed = "true";
    }
  }

  /** Draws all views, whether they are near or not. */
  function mountAll() {
    for (const element of places.keys()) mount(element);
  }

  function watch() {
    const elements = [...document.querySelectorAll(".view[data-view]")];
    for (const element of elements) places.set(element, false);
    if (!("IntersectionObserver" in window)) {
      mountAll();
      return;
    }
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        observer.unobserve(entry.target);
        mount(entry.target);
      }
    }, { rootMargin: "400px" });
    for (const element of elements) observer.observe(element);
  }

  // colors

  function isDark() {
    if (printing) return false;
    return root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
  }

  function recolored() {
    const button = document.getElementById("theme");
    if (button) button.setAttribute("aria-pressed", String(isDark()));
    for (const changed of themed) {
      try {
        changed();
      } catch (error) {
        console.warn("a picture kept its colors: " + error);
      }
    }
  }

  function listen() {
    const button = document.getElementById("theme");
    if (button) {
      button.hidden = false;
      button.addEventListener("click", () => {
        root.dataset.theme = isDark() ? "light" : "dark";
        recolored();
      });
    }
    dark.addEventListener("change", recolored);
    let before = "";
    window.addEventListener("beforeprint", () => {
      before = root.dataset.theme || "";
      printing = true;
      root.dataset.theme = "light";
      mountAll();
      recolored();
    });
    window.addEventListener("afterprint", () => {
      printing = false;
      if (before) root.dataset.theme = before;
      else delete root.dataset.theme;
      recolored();
    });
  }

  // where one is

  /** Marks the section that is being read in the list of sections. */
  function follow() {
    const links = new Map();
    for (const link of document.querySelectorAll("nav.sections a")) links.set(link.hash.slice(1), link);
    if (!("IntersectionObserver" in window)) return;
    const seen = new Set();
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) seen.add(entry.target.id);
        else seen.delete(entry.target.id);
      }
      const first = [...links.keys()].find((id) => seen.has(id));
      for (const [id, link] of links) {
        if (id === first) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    }, { rootMargin: "-10% 0px -70% 0px" });
    for (const section of document.querySelectorAll("main section[id]")) observer.observe(section);
  }

  document.addEventListener("DOMContentLoaded", () => {
    listen();
    watch();
    follow();
    recolored();
  });

  return { view, tools, mount, mountAll, report };
})();
window.splinegraph = splinegraph;
