// Entities as marks in the text and as rows of a table. Text gets in by textContent alone.

const HUES = 8;
const tip = document.getElementById("tip");

export function percent(probability) {
  return probability === null ? "–" : `${(100 * probability).toFixed(1)} %`;
}

export function element(name, text, properties = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  return made;
}

export function hue(label, labels) {
  const i = labels.indexOf(label);
  return `type-${(i < 0 ? labels.length : i) % HUES}`;
}

function describe(entity) {
  const sure = entity.confidence === null ? "no confidence" : percent(entity.confidence);
  const other = entity.runner_up ? `, else ${entity.runner_up.label} ${percent(entity.runner_up.confidence)}` : "";
  return `${entity.label} ${sure}${other}`;
}

export function showMarks(container, text, entities, labels) {
  const parts = [];
  let end = 0;
  for (const entity of entities) {
    parts.push(text.slice(end, entity.start));
    const mark = element("mark", text.slice(entity.start, entity.end), {
      className: hue(entity.label, labels),
      tabIndex: parts.length === 1 ? 0 : -1,
    });
    mark.style.setProperty("--strength", `${20 + 80 * (entity.confidence ?? 1)}%`);
    mark.append(element("span", entity.label, { className: "label" }));
    mark.dataset.tip = describe(entity);
    mark.setAttribute("aria-description", mark.dataset.tip);
    parts.push(mark);
    end = entity.end;
  }
  hideTip();
  container.replaceChildren(...parts, text.slice(end));
}

function showTip(mark) {
  tip.textContent = mark.dataset.tip;
  tip.hidden = false;
  const place = mark.getClientRects()[0];
  const { width, height } = tip.getBoundingClientRect();
  const below = place.bottom + 4 + height < window.innerHeight;
  tip.style.left = `${Math.max(8, Math.min(place.left, window.innerWidth - width - 8))}px`;
  tip.style.top = `${below ? place.bottom + 4 : place.top - height - 4}px`;
}

export function hideTip() {
  tip.hidden = true;
}

export function watchMarks(container) {
  const markOf = (event) => event.target.closest?.("mark");
  for (const kind of ["pointerover", "focusin"]) {
    container.addEventListener(kind, (event) => markOf(event) && showTip(markOf(event)));
  }
  for (const kind of ["pointerout", "focusout", "scroll"]) container.addEventListener(kind, hideTip);
  window.addEventListener("scroll", hideTip, { passive: true });
  container.addEventListener("keydown", (event) => {
    const marks = [...container.querySelectorAll("mark")];
    const i = marks.indexOf(markOf(event));
    const next = { ArrowRight: i + 1, ArrowDown: i + 1, ArrowLeft: i - 1, ArrowUp: i - 1, Home: 0, End: marks.length - 1 }[event.key];
    if (event.key === "Escape") hideTip();
    if (i < 0 || next === undefined || !marks[next]) return;
    event.preventDefault();
    marks[i].tabIndex = -1;
    marks[next].tabIndex = 0;
    marks[next].focus();
  });
}

export function showLegend(container, entities, labels) {
  const counts = new Map();
  for (const { label } of entities) counts.set(label, (counts.get(label) ?? 0) + 1);
  const sorted = [...counts].sort();
  container.replaceChildren(...sorted.map(([label, n]) => element("span", `${label} ${n}`, { className: hue(label, labels) })));
}

const COLUMNS = [
  ["Entity", (entity) => entity.text],
  ["Label", (entity) => entity.label],
  ["Confidence", (entity) => entity.confidence ?? 2],
  ["Runner-up", (entity) => entity.runner_up?.confidence ?? -1],
  ["Position", (entity) => entity.start],
];
// The column that rows are sorted by, and whether upwards.
let sorted = { column: 4, upwards: true };

export function showColumns(row, changed) {
  row.replaceChildren(
    ...COLUMNS.map(([name], i) => {
      const head = element("th", undefined, { scope: "col", "aria-sort": i === sorted.column ? "ascending" : "none" });
      const button = element("button", name, { type: "button" });
      button.addEventListener("click", () => {
        sorted = { column: i, upwards: sorted.column === i ? !sorted.upwards : true };
        for (const other of row.children) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", sorted.upwards ? "ascending" : "descending");
        changed();
      });
      head.append(button);
      return head;
    }),
  );
}

export function showRows(body, entities, labels) {
  const value = COLUMNS[sorted.column][1];
  const order = (a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : a.start - b.start);
  const rows = [...entities].sort(order);
  if (!sorted.upwards) rows.reverse();
  body.replaceChildren(
    ...rows.map((entity) => {
      const row = element("tr");
      const label = element("td");
      label.append(element("span", entity.label, { className: `swatch ${hue(entity.label, labels)}` }));
      const other = entity.runner_up ? `${entity.runner_up.label} ${percent(entity.runner_up.confidence)}` : "–";
      row.append(
        element("td", entity.text),
        label,
        element("td", percent(entity.confidence), { className: "number" }),
        element("td", other, { className: "number" }),
        element("td", `${entity.start}–${entity.end}`, { className: "number" }),
      );
      return row;
    }),
  );
}

export function showFacts(list, model) {
  const scores = { F1: "ents_f", precision: "ents_p", recall: "ents_r" };
  const measured = Object.entries(scores).filter(([, key]) => typeof model.scores[key] === "number");
  const calibrated = Object.entries(model.calibration).map(([name, how]) => `${name}: ${how.calibrated ? "calibrated" : "not calibrated"}`);
  const listed = (versions) => Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ");
  const facts = [
    ["Package", `${model.package} ${model.version}`],
    ["About", model.description],
    ["Licence", model.license],
    ["Language", model.lang],
    ["Pipeline", model.pipeline.join(", ")],
    ["Labels", model.labels.join(", ")],
    ["Scores on its test set", measured.map(([name, key]) => `${name} ${percent(model.scores[key])}`).join(", ")],
    ["Confidences", calibrated.join(", ")],
    ["Trained with", listed(model.versions)],
    ["Served by", listed(model.served_by)],
  ];
  const known = facts.filter(([, value]) => value);
  list.replaceChildren(...known.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
}
