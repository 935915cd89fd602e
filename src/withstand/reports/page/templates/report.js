(() => {
  "use strict";
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const element = (name, text, parent) => { const made = document.createElement(name); made.textContent = text; parent.append(made); return made; };

  // Light and dark.
  const toggle = document.getElementById("theme");
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const showTheme = () => { toggle.textContent = isDark() ? "Light" : "Dark"; toggle.setAttribute("aria-pressed", String(isDark())); };
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("withstand-theme", root.dataset.theme); } catch { /* a page that may keep nothing */ }
    showTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
  showTheme();

  // Sorting: numbers by value, texts by the alphabet, what is missing last.
  const key = (cell) => {
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const text = (cell.firstChild ? cell.firstChild.textContent : "").trim();
    if (text === "" || text === "\u2013") return null;
    const number = Number(text.replace(/,(?=\d{3})/g, ""));
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  };
  const sort = (table, place) => {
    const heads = all("thead th", table);
    const up = heads[place].getAttribute("aria-sort") !== "ascending";
    heads.forEach((each, k) => each.setAttribute("aria-sort", k === place ? (up ? "ascending" : "descending") : "none"));
    const body = table.tBodies[0];
    const lines = [...body.rows].map((row) => [key(row.cells[place]), row]);
    lines.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null) : (up ? 1 : -1) * compare(a, b));
    body.append(...lines.map(([, row]) => row));
  };

  // Filtering: lines that have every word.
  const filter = (sheet, words) => {
    const rows = [...sheet.querySelector("tbody").rows];
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    sheet.querySelector(".count").textContent = words.length ? `${shown} of ${rows.length} lines` : "";
  };
  for (const sheet of all(".sheet")) {
    const table = sheet.querySelector("table");
    all("thead button", table).forEach((button, place) => button.addEventListener("click", () => sort(table, place)));
    const input = sheet.querySelector("input");
    input.addEventListener("input", () => filter(sheet, input.value.toLowerCase().split(/\s+/).filter(Boolean)));
    table.addEventListener("click", (event) => {
      const cell = event.target.closest("tbody td");
      if (cell) trace(table, cell);
    });
    // One stop of the tab key per table; arrow keys go from number to number.
    const numbers = table.hasAttribute("data-all") ? "tbody td.n" : "tbody td[data-m]";
    const first = table.querySelector(numbers);
    if (first) first.tabIndex = 0;
    table.addEventListener("keydown", (event) => {
      const cell = event.target.closest(numbers);
      if (!cell) return;
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); trace(table, cell); return; }
      const row = cell.parentElement;
      const beside = (step) => { let each = cell; do each = each[step]; while (each && !each.matches(numbers)); return each; };
      const across = (step) => { let each = row; do each = each[step]; while (each && each.hidden); return each && each.cells[cell.cellIndex]; };
      const next = {
        ArrowLeft: () => beside("previousElementSibling"), ArrowRight: () => beside("nextElementSibling"),
        ArrowUp: () => across("previousElementSibling"), ArrowDown: () => across("nextElementSibling"),
      }[event.key]?.();
      if (!next || !next.matches(numbers)) return;
      event.preventDefault();
      cell.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  }

  // On a phone a column that says of every line that all runs are there gives way to numbers.
  for (const table of all(".sheet table")) {
    const head = all("thead th", table).find((each) => each.innerText.trim().startsWith("runs"));
    const cells = head ? [...table.rows].map((row) => row.cells[head.cellIndex]) : [];
    if (cells.every((cell) => cell && !cell.querySelector(".flag"))) cells.forEach((cell) => cell.classList.add("settled"));
  }

  // What continues beyond the right edge fades out there, and a line above says what follows.
  const edges = all("main .scroll, .canvas").map((place) => {
    const hint = element("p", "", place.parentElement);
    hint.className = "hint"; hint.hidden = true; place.before(hint);
    const look = () => {
      const right = place.getBoundingClientRect().right;
      const left = place.scrollWidth - place.clientWidth - place.scrollLeft;
      place.classList.toggle("more", left > 4);
      // A hint that comes and goes would move what is below it: once there, it stays.
      if (left > 4) hint.hidden = false;
      else if (place.scrollLeft === 0) hint.hidden = true;
      const count = all("thead th", place).filter((each) => each.offsetWidth && each.getBoundingClientRect().right > right + 4).length;
      const what = count ? `${count} more column${count > 1 ? "s" : ""}` : place.matches(".canvas") ? "the rest of the figure" : "the rest";
      hint.textContent = left > 4 ? `Scroll sideways for ${what} \u2192` : "\u2190 Scroll back";
    };
    place.addEventListener("scroll", look, { passive: true });
    return look;
  });
  const lookAtEdges = () => edges.forEach((look) => look());
  addEventListener("resize", lookAtEdges);
  addEventListener("toggle", lookAtEdges, true);
  requestAnimationFrame(lookAtEdges);

  // The values of single runs behind a number.
  const source = document.getElementById("values");
  let known = null;
  const dialog = document.getElementById("trace");
  function trace(table, cell) {
    const row = cell.parentElement;
    let { m: measure, q: condition } = cell.dataset;
    if (table.hasAttribute("data-all") && cell.classList.contains("n")) ({ m: measure, q: condition } = row.dataset);
    if (!measure) return;
    known ??= JSON.parse(source.textContent);
    const own = known.combinations[row.dataset.c];
    const found = known.values[`${measure}\t${condition}`] || {};
    const values = found[row.dataset.c];
    const base = row.dataset.b === undefined ? null : known.combinations[row.dataset.b];
    document.getElementById("trace-title").textContent = `${own.name}: ${measure}, ${condition}`;
    const place = dialog.querySelector(".scroll");
    place.replaceChildren();
    if (values) {
      const list = element("table", "", place);
      const head = element("tr", "", element("thead", "", list));
      for (const text of ["seed", "value", ...(base ? [`${base.name}, same seed`] : []), "run"]) element("th", text, head).scope = "col";
      const body = element("tbody", "", list);
      own.runs.forEach((run, k) => {
        const line = element("tr", "", body);
        if (values[k] === null) line.className = "lost";
        element("td", own.seeds[k], line);
        element("td", values[k] ?? "missing", line);
        if (base) {
          const other = found[row.dataset.b];
          const partner = base.seeds.indexOf(own.seeds[k]);
          element("td", (other && other[partner]) ?? "missing", line);
        }
        const link = element(source.dataset.runs ? "a" : "span", run, element("td", "", line));
        if (source.dataset.runs) link.href = `${source.dataset.runs}/${encodeURI(run)}`;
      });
    }
    dialog.querySelector("p").textContent = values
      ? "Fractions, not percent. The same values are in rows.csv."
      : known.left_out ? "There are too many values for this page: rows.csv has them." : "No run has a value.";
    dialog.showModal();
  }

  // Values of marks in figures: on hover, on focus (arrow keys go from one to the next), and on a tap.
  const tip = document.getElementById("tip");
  let current = null;
  const tell = (mark) => {
    if (current === mark) return;
    if (current) current.classList.remove("on");
    current = mark;
    tip.hidden = !mark;
    if (!mark) return;
    mark.classList.add("on");
    tip.textContent = mark.getAttribute("aria-label");
    const box = mark.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left + box.width / 2 - tip.offsetWidth / 2), innerWidth - tip.offsetWidth - 8);
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 4 ? above : box.bottom + 8}px`;
  };
  for (const drawing of all("svg.drawing")) {
    const marks = all(".mark", drawing);
    if (!marks.length) continue;
    for (const [k, mark] of marks.entries()) {
      all("title", mark).forEach((title) => title.remove());
      mark.setAttribute("tabindex", k ? "-1" : "0");
      mark.addEventListener("focus", () => tell(mark));
      mark.addEventListener("blur", () => tell(null));
    }
    drawing.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") tell(null);
      if (!step || !marks.includes(document.activeElement)) return;
      event.preventDefault();
      marks[(marks.indexOf(document.activeElement) + step + marks.length) % marks.length].focus();
    });
    const nearest = (event) => {
      let best = null, least = 18;
      for (const mark of marks) {
        const box = mark.getBoundingClientRect();
        const distance = Math.hypot(event.clientX - (box.left + box.width / 2), event.clientY - (box.top + box.height / 2));
        const inside = box.width > 24 && event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
        if (distance < least || (inside && least === 18)) { best = mark; least = Math.min(least, distance); }
      }
      tell(best);
    };
    drawing.addEventListener("pointermove", nearest);
    drawing.addEventListener("pointerdown", nearest);
    drawing.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") tell(null); });
  }
  addEventListener("scroll", () => tell(null), { passive: true });

  // A link into what is folded opens it.
  const open = () => {
    const target = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
    for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
  };
  addEventListener("hashchange", open);
  open();
})();
