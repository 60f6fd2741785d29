"use strict";
(function () {
  var root = document.documentElement;

  function all(selector, from) {
    return Array.prototype.slice.call((from || document).querySelectorAll(selector));
  }

  function on(id, event, fn) {
    var element = document.getElementById(id);
    if (element) element.addEventListener(event, fn);
  }

  /* ---- light and dark ---- */
  on("theme", "click", function () {
    var dark = root.dataset.theme ? root.dataset.theme === "dark"
                                  : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  /* ---- what an address names is opened ---- */
  function openTarget() {
    var id = decodeURIComponent(location.hash.slice(1));
    var target = id && document.getElementById(id);
    if (target && target.tagName === "DETAILS") {
      target.open = true;
      target.scrollIntoView();
    }
  }
  addEventListener("hashchange", openTarget);
  openTarget();

  /* ---- paper has everything open ---- */
  var closed = [];
  addEventListener("beforeprint", function () {
    closed = all("details:not([open])");
    closed.forEach(function (d) { d.open = true; });
  });
  addEventListener("afterprint", function () {
    closed.forEach(function (d) { d.open = false; });
  });

  /* ---- findings by severity ---- */
  all("button[data-severity]").forEach(function (button) {
    button.addEventListener("click", function () {
      var shown = button.getAttribute("aria-pressed") === "true";
      button.setAttribute("aria-pressed", String(!shown));
      all("details.f-" + button.dataset.severity).forEach(function (d) { d.hidden = shown; });
    });
  });
  on("open-all", "click", function () {
    var findings = all("#findings details");
    var open = findings.some(function (d) { return !d.open; });
    findings.forEach(function (d) { d.open = open; });
  });

  /* ---- tables ---- */
  function value(row, column) {
    var cell = row.cells[column];
    return cell.dataset.v !== undefined ? Number(cell.dataset.v) : cell.textContent.toLowerCase();
  }

  all("table.sortable").forEach(function (table) {
    var body = table.tBodies[0];
    all("th", table).forEach(function (th, column) {
      th.firstElementChild.addEventListener("click", function () {
        var first = body.rows[0];
        var numeric = first && first.cells[column].dataset.v !== undefined;
        var was = th.getAttribute("aria-sort");
        var down = was ? was === "ascending" : numeric;
        var rows = Array.prototype.slice.call(body.rows);
        rows.sort(function (a, b) {
          var x = value(a, column), y = value(b, column);
          return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
        });
        rows.forEach(function (row) { body.appendChild(row); });
        all("th", table).forEach(function (other) { other.removeAttribute("aria-sort"); });
        th.setAttribute("aria-sort", down ? "descending" : "ascending");
      });
    });
  });

  all("input[data-table]").forEach(function (input) {
    var table = document.getElementById(input.dataset.table);
    input.addEventListener("input", function () {
      var wanted = input.value.toLowerCase();
      all("tbody tr", table).forEach(function (row) {
        row.hidden = row.textContent.toLowerCase().indexOf(wanted) < 0;
      });
    });
  });
}());
