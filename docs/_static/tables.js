// Tables of the class "explore" get a search field and headings that sort. No dependencies.
(function () {
  "use strict";

  function text(cell) {
    return cell ? cell.textContent.trim() : "";
  }

  // "1,003,136", "0.95 ± 0.01", "221 M": the number in front; NaN for words.
  function number(value) {
    var found = value.replace(/,/g, "").match(/^[-+]?[\d.]+(e[-+]?\d+)?/i);
    return found ? parseFloat(found[0]) : NaN;
  }

  function sort(body, column, descending) {
    var rows = Array.prototype.slice.call(body.rows);
    rows.sort(function (a, b) {
      var x = text(a.cells[column]);
      var y = text(b.cells[column]);
      if (!x || !y) return (x ? 0 : 1) - (y ? 0 : 1); // what is not known comes last
      var order = number(x) - number(y);
      if (isNaN(order)) order = x.localeCompare(y, "en", { numeric: true });
      return descending ? -order : order;
    });
    rows.forEach(function (row) { body.appendChild(row); });
  }

  function explore(table) {
    var body = table.tBodies[0];
    var headings = table.tHead ? table.tHead.rows[0].cells : [];
    Array.prototype.forEach.call(headings, function (heading, column) {
      var button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      while (heading.firstChild) button.appendChild(heading.firstChild);
      heading.appendChild(button);
      button.addEventListener("click", function () {
        var descending = heading.getAttribute("aria-sort") === "ascending";
        Array.prototype.forEach.call(headings, function (other) {
          other.removeAttribute("aria-sort");
        });
        heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
        sort(body, column, descending);
      });
    });

    var chinese = document.documentElement.lang.startsWith("zh");
    var label = chinese ? "搜索此表" : "Search this table";
    var field = document.createElement("input");
    field.type = "search";
    field.className = "explore";
    field.placeholder = label;
    field.setAttribute("aria-label", label);
    var found = document.createElement("span"); // read out by screen readers as it changes
    found.className = "explore";
    found.setAttribute("role", "status");
    field.addEventListener("input", function () {
      var words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      var shown = 0;
      Array.prototype.forEach.call(body.rows, function (row) {
        var content = row.textContent.toLowerCase();
        row.hidden = !words.every(function (word) { return content.includes(word); });
        if (!row.hidden) shown += 1;
      });
      var count = chinese
        ? body.rows.length + " 行中的 " + shown + " 行"
        : shown + " of " + body.rows.length + " rows";
      found.textContent = words.length ? count : "";
    });
    var place = table.closest(".table-wrapper") || table;
    place.parentNode.insertBefore(field, place);
    place.parentNode.insertBefore(found, place);
  }

  document.addEventListener("DOMContentLoaded", function () {
    document.querySelectorAll("table.explore").forEach(explore);
  });
})();
