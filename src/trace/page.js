"use strict";
(function () {
  var root = document.documentElement;
  root.classList.add("js");

  function all(selector, within) {
    return Array.prototype.slice.call((within || document).querySelectorAll(selector));
  }

  function show(trace, name) {
    all(".panel", trace).forEach(function (p) { p.classList.toggle("on", p.dataset.panel === name); });
    all(".tabs button", trace).forEach(function (b) {
      b.setAttribute("aria-selected", b.dataset.tab === name ? "true" : "false");
    });
  }

  function filter(trace) {
    var words = trace.querySelector("input[type=search]").value.toLowerCase().split(/\s+/).filter(Boolean);
    var grave = trace.querySelector("input[type=checkbox]").checked;
    var isOn = words.length > 0 || grave;
    function fits(e) {
      var level = Number(e.dataset.level);
      if (grave && (level < 1 || level > 3)) return false;
      var text = e.textContent.toLowerCase();
      return words.every(function (w) { return text.indexOf(w) >= 0; });
    }
    all("tr[data-level]", trace).forEach(function (e) { e.classList.toggle("hidden", isOn && !fits(e)); });
    all(".ev", trace).forEach(function (e) { e.classList.toggle("hidden", isOn && !fits(e)); });
    all(".gap", trace).forEach(function (e) { e.classList.toggle("hidden", isOn); });
    /* Inner ones first, so that what is around a hit stays. */
    all(".tree details", trace).reverse().forEach(function (d) {
      var inner = d.querySelector(":scope > .ev:not(.hidden), :scope > details:not(.hidden)");
      var own = fits(d.firstElementChild);
      d.classList.toggle("hidden", isOn && !inner && !own);
      if (isOn && inner) d.open = true;
    });
    if (isOn && !trace.querySelector(".panel[data-panel=details].on, .panel[data-panel=events].on, .panel[data-panel=time].on"))
      show(trace, "events");
    var count = all("tr[data-level]:not(.hidden)", trace.querySelector("[data-panel=events]") || trace).length;
    trace.querySelector(".count").textContent = isOn ? count + " shown" : "";
  }

  function sortable(table) {
    all("th[data-sort]", table).forEach(function (th) {
      var column = all("th", table).indexOf(th);
      th.tabIndex = 0;
      function sort() {
        var down = th.getAttribute("aria-sort") === "ascending";
        all("th", table).forEach(function (o) { o.removeAttribute("aria-sort"); });
        th.setAttribute("aria-sort", down ? "descending" : "ascending");
        var body = table.tBodies[0];
        function key(row) {
          var cell = row.cells[column], v = cell.dataset.v !== undefined ? cell.dataset.v : cell.textContent;
          return th.dataset.sort === "n" ? Number(v) : v.toLowerCase();
        }
        all("tr", body).map(function (row) { return { k: key(row), row: row }; })
          .sort(function (a, b) { return (a.k < b.k ? -1 : a.k > b.k ? 1 : 0) * (down ? -1 : 1); })
          .forEach(function (o) { body.appendChild(o.row); });
      }
      th.addEventListener("click", sort);
      th.addEventListener("keydown", function (e) { if (e.key === "Enter") sort(); });
    });
  }

  all("article.trace").forEach(function (trace) {
    all(".tabs button", trace).forEach(function (b) {
      b.addEventListener("click", function () { show(trace, b.dataset.tab); });
    });
    trace.querySelector("input[type=search]").addEventListener("input", function () { filter(trace); });
    trace.querySelector("input[type=checkbox]").addEventListener("change", function () { filter(trace); });
    show(trace, "summary");
  });
  all("table").forEach(sortable);

  var list = document.getElementById("find-file");
  if (list) {
    list.addEventListener("input", function () {
      var words = list.value.toLowerCase().split(/\s+/).filter(Boolean);
      all("#files tbody tr").forEach(function (row) {
        var text = row.textContent.toLowerCase();
        row.classList.toggle("hidden", !words.every(function (w) { return text.indexOf(w) >= 0; }));
      });
    });
  }

  /* #t0e12 is event 12 of the first trace, #t0 the trace itself. */
  function go() {
    var target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (var up = target; up; up = up.parentElement) {
      if (up.tagName === "DETAILS") up.open = true;
      if (up.classList.contains("panel")) show(up.closest("article.trace"), up.dataset.panel);
    }
    if (target.classList.contains("hidden")) target.classList.remove("hidden");
    target.scrollIntoView();
  }
  window.addEventListener("hashchange", go);
  window.addEventListener("beforeprint", function () { all("details").forEach(function (d) { d.open = true; }); });
  go();
})();
