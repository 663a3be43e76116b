// The page: what its parts do when they are used.
import { examplesFor } from "./examples.js";
import { asJson, asJsonl, copy } from "./exports.js";
import { Problem, ask, readFile, useKey } from "./service.js";
import { element, percent, showColumns, showFacts, showLegend, showMarks, showRows, watchMarks } from "./view.js";

const at = (id) => document.getElementById(id);
let models = [];
// What is shown: the text that was read, its entities, and the model that read it.
let shown = null;
let running = null;

function say(problem) {
  at("problem").hidden = !problem;
  at("problem").textContent = problem?.message ?? "";
  if (problem?.status === 401) {
    at("key-row").hidden = false;
    at("key").focus();
  }
}

async function attempt(work) {
  try {
    say(null);
    await work();
  } catch (error) {
    if (error.name === "AbortError") return;
    say(error);
    at("status").textContent = "";
    if (!(error instanceof Problem)) throw error;
  }
}

function chosen() {
  return models.find((model) => model.name === at("model").value);
}

async function loadModels() {
  ({ models } = await ask("v1/models"));
  at("model").replaceChildren(...models.map(({ name }) => element("option", name, { value: name })));
  at("model-choice").hidden = models.length < 2;
  showModel();
}

function showModel() {
  const model = chosen();
  at("package").textContent = `by ${model.package} ${model.version}`;
  showFacts(at("facts"), model);
  at("marked").lang = model.lang;
  at("examples").replaceChildren(
    ...examplesFor(model.lang).map(([name, text]) => {
      const button = element("button", name, { type: "button" });
      button.addEventListener("click", () => readText(text));
      return button;
    }),
  );
}

function readText(text) {
  at("text").value = text;
  return attempt(read);
}

async function read() {
  const text = at("text").value;
  if (models.length === 0) await loadModels();
  if (!text.trim()) throw new Problem("There is no text: type or paste one, or click an example", 0);
  const { name, labels } = chosen();
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  for (const id of ["marked", "rows"]) at(id).setAttribute("aria-busy", "true");
  at("status").textContent = "Reading …";
  const begun = performance.now();
  try {
    const answer = await ask("v1/entities", { text, model: name, offsets: "utf16" }, signal);
    const { entities } = answer.results[0];
    shown = { text, entities, labels, model: name, seconds: (performance.now() - begun) / 1000 };
    at("output").hidden = false;
    show();
  } finally {
    if (running.signal === signal) for (const id of ["marked", "rows"]) at(id).setAttribute("aria-busy", "false");
  }
}

function kept() {
  const threshold = at("threshold").valueAsNumber / 100;
  return shown.entities.filter(({ confidence }) => confidence === null || confidence >= threshold);
}

function show() {
  const { text, entities, labels, seconds } = shown;
  const some = kept();
  showMarks(at("marked"), text, some, labels);
  showLegend(at("legend"), some, labels);
  showRows(at("rows"), some, labels);
  const hidden = entities.length - some.length;
  const less = hidden ? `, ${hidden} below the threshold` : "";
  at("status").textContent = `${some.length} ${some.length === 1 ? "entity" : "entities"}${less}; ${seconds.toFixed(2)} s.`;
}

async function copyAs(write, what) {
  const done = await copy(write);
  at("copied").textContent = done ? `${what} copied.` : "The browser allows no copying here.";
}

function watchFiles() {
  const area = at("text");
  const open = (files) => files.length && attempt(async () => readText(await readFile(files[0])));
  at("file").addEventListener("change", () => {
    open([...at("file").files]);
    at("file").value = "";
  });
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      area.classList.add("dropping");
    });
  }
  for (const kind of ["dragleave", "drop"]) document.addEventListener(kind, () => area.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    open([...event.dataTransfer.files]);
  });
}

function watch() {
  at("form").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(read);
  });
  at("text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      attempt(read);
    }
  });
  // What was pasted is in the field only after the event.
  at("text").addEventListener("paste", () => setTimeout(() => attempt(read)));
  at("threshold").addEventListener("input", () => {
    at("threshold-value").textContent = percent(at("threshold").valueAsNumber / 100).replace(".0", "");
    if (shown) show();
  });
  at("model").addEventListener("change", () => {
    showModel();
    if (shown) attempt(read);
  });
  at("key").addEventListener("input", () => useKey(at("key").value));
  at("key").addEventListener("change", () => models.length || attempt(loadModels));
  at("copy-json").addEventListener("click", () => copyAs(asJson(shown.text, kept(), shown.model), "JSON"));
  at("copy-jsonl").addEventListener("click", () => copyAs(asJsonl(shown.text, kept()), "A line of JSONL"));
  showColumns(at("columns"), () => shown && showRows(at("rows"), kept(), shown.labels));
  watchMarks(at("marked"));
  watchFiles();
}

watch();
attempt(loadModels);
