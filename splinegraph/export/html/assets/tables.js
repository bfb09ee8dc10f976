/* Tables: sorted by a click on a heading, filtered, their other rows built on demand; names of nodes become buttons. */
"use strict";

(function () {
  const FILTERED = 12;
  const LONG = 48;
  const { el } = splinegraph.tools;

  /** What a table holds: rows of {texts, keys, element or null}; those that stand in the page and the others. */
  class SortableTable {
    constructor(box, table) {
      this.table = table;
      this.body = table.tBodies[0];
      this.headings = [...table.tHead.rows[0].cells];
      this.rows = [...this.body.rows].map((row) => ({ element: row, cells: readCells(row) }));
      this.limit = this.rows.length;
      const held = box.querySelector("script.rest-rows");
      this.rest = held ? JSON.parse(held.textContent) : [];
      for (const cells of this.rest) this.rows.push({ element: null, cells });
      this.order = this.rows.slice();
      this.filter = "";
      this.note = box.querySelector(".rest");
      this.box = box;
      this.status = null;
      this.headings.forEach((heading, column) => this.makeHeading(heading, column));
      if (this.rows.length >= FILTERED) this.makeTools();
      for (const row of this.rows.slice(0, this.limit)) linkNodes(row.element);
    }

    makeHeading(heading, column) {
      const label = heading.textContent.trim();
      const button = el("button", { type: "button", title: heading.title || null }, label);
      button.addEventListener("click", () => this.sort(column));
      heading.removeAttribute("title");
      heading.dataset.title = label; // on paper
      heading.replaceChildren(button);
    }

    makeTools() {
      const input = el("input", { type: "search", placeholder: "Filter", "aria-label": "Filter the rows" });
      input.addEventListener("input", () => {
        this.filter = input.value.trim().toLowerCase();
        this.show();
      });
      this.status = el("span", { role: "status", class: "muted" });
      const tools = el("div", { class: "table-tools" }, input, this.status);
      if (this.rest.length) {
        const all = el("button", { type: "button" }, "Show all " + count(this.rows.length) + " rows");
        all.addEventListener("click", () => {
          this.showAll();
          all.remove();
        });
        tools.append(all);
      }
      this.box.prepend(tools);
      if (this.note) this.note.remove(); // it says the same to those without scripts
      this.tell(this.rows.length, this.limit);
    }

    /** Builds all rows, as a click on "show all" and printing do. */
    showAll() {
      this.limit = this.rows.length;
      this.show();
    }

    /** Sorts by a column: numbers from the largest, text from A; once more turns it round. It is stable. */
    sort(column) {
      const heading = this.headings[column];
      const now = heading.getAttribute("aria-sort");
      const numeric = heading.classList.contains("num");
      const first = numeric ? "descending" : "ascending";
      const second = numeric ? "ascending" : "descending";
      const wanted = now === first ? second : first;
      for (const other of this.headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", wanted);
      const sign = wanted === "ascending" ? 1 : -1;
      this.order.sort((a, b) => compare(a.cells[column], b.cells[column], sign));
      this.show();
    }

    matches(row) {
      return !this.filter || row.cells.some((cell) => cell[0].toLowerCase().includes(this.filter));
    }

    show() {
      const found = this.order.filter((row) => this.matches(row));
      const shown = found.slice(0, this.limit);
      this.body.replaceChildren(...shown.map((row) => row.element || (row.element = this.makeRow(row.cells))));
      this.tell(found.length, shown.length);
    }

    /** Says how many rows there are beside the filter: a long table scrolls in a box of its own. */
    tell(found, shown) {
      if (!this.status) return;
      const told = (this.filter ? count(found) + " of " : "") + count(this.rows.length) + " rows";
      this.status.textContent = told + (shown < found ? ", the first " + count(shown) + " shown" : "");
    }

    makeRow(cells) {
      const row = el("tr", {}, cells.map(([text, value, tone, name], column) => {
        const numeric = this.headings[column].classList.contains("num");
        const long = !numeric && text.length > LONG;
        const kind = [numeric ? "num" : "", long ? "long" : "", tone].filter(Boolean).join(" ");
        const dataset = {};
        if (value !== null) dataset.value = value;
        if (name) dataset.node = name;
        return el("td", { class: kind || null, dataset }, text);
      }));
      linkNodes(row);
      return row;
    }
  }

  const count = (n) => n.toLocaleString("en-US");

  function readCells(row) {
    return [...row.cells].map((cell) => {
      const value = cell.dataset.value === undefined ? null : Number(cell.dataset.value);
      return [cell.textContent, value, "", cell.dataset.node || ""];
    });
  }

  /** Orders two cells: by number where both have one, else by text; what is not known comes last either way. */
  function compare(a, b, sign) {
    const known = (cell) => cell[1] !== null || (cell[0] !== "–" && cell[0] !== "");
    if (known(a) !== known(b)) return known(a) ? -1 : 1;
    if (a[1] !== null && b[1] !== null) return sign * (a[1] - b[1]);
    return sign * a[0].localeCompare(b[0], "en", { numeric: true });
  }

  /** Makes the names of nodes buttons that open the operator graph, where the page has one. */
  function linkNodes(row) {
    if (!document.querySelector('[data-view="operator-graph"]')) return;
    for (const cell of row.querySelectorAll("td[data-node]")) {
      if (cell.querySelector("button")) continue;
      const name = cell.dataset.node;
      const button = el("button", { type: "button", class: "node-link", title: "Show in the operator graph" }, name);
      button.addEventListener("click", () => splinegraph.tools.showNode(name));
      cell.replaceChildren(button);
    }
  }

  const tables = [];
  document.addEventListener("DOMContentLoaded", () => {
    for (const box of document.querySelectorAll(".table-box")) {
      const table = box.querySelector("table.sortable");
      if (table) tables.push(new SortableTable(box, table));
    }
  });
  window.addEventListener("beforeprint", () => {
    for (const table of tables) if (table.rest.length) table.showAll();
  });
})();
