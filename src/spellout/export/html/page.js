// What people see: lines, letters, and why. Whatever comes from a model is written as text, never as markup.

const $ = id => document.getElementById(id);
const made = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};
const percent = x => x >= 0.0995 ? `${(100 * x).toFixed(0)} %` : x >= 0.001 ? `${(100 * x).toFixed(1)} %` : "< 0.1 %";
const counted = n => n.toLocaleString("en");

// A token as people can see it.
function shown(model, token) {
  if (token === 0) return "end";
  const text = model.texts[token] || model.labels[token - model.size + model.labels.length] || "unknown";
  if (/^[\udc80-\udcff]$/.test(text)) return `<${(text.charCodeAt(0) - 0xdc00).toString(16)}>`;
  return /^\p{M}/u.test(text) ? `\u25cc${text}` : /^\s+$/u.test(text) ? "\u2423" : text;
}

// ---------------------------------------------------------------- The address holds the state

const FIELDS = { n: "20", seed: "0", prefix: "", label: "", t: "1", k: "0", p: "1", new: "1" };
const SHOWN = { letters: "", line: "" };

function stateOfAddress() {
  return { ...FIELDS, ...SHOWN, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) };
}

function keepInAddress(changes) {
  const state = { ...stateOfAddress(), ...changes }, kept = new URLSearchParams();
  for (const [name, usual] of Object.entries({ ...FIELDS, ...SHOWN }))
    if (state[name] !== usual) kept.set(name, state[name]);
  history.replaceState(null, "", kept.size || location.hash ? `#${kept}` : location.pathname);
}

// ---------------------------------------------------------------- Making lines

class Making {
  constructor(model, choose) {
    this.model = model;
    this.choose = choose;
    this.form = $("make");
    this.lines = [];
    this.form.addEventListener("submit", event => { event.preventDefault(); this.start(); });
    this.form.addEventListener("input", () => { this.say(); keepInAddress(this.state()); });
    $("stop").addEventListener("click", () => { this.run = null; });
    $("copy").addEventListener("click", () => this.copy());
    $("save").addEventListener("click", () => this.save());
    for (const [i, name] of model.labels.entries()) this.form.label.append(made("option", { value: i, textContent: name }));
    $("label-field").hidden = !model.labels.length;
    $("new-field").hidden = !model.known && !model.lines.size;
    this.form.k.max = Math.min(model.size - 1, 100);
  }

  state() {
    const { n, seed, prefix, label, t, k, p } = this.form;
    return { n: n.value, seed: seed.value, prefix: prefix.value, label: label.value, t: t.value, k: k.value, p: p.value,
      new: this.form.elements.new.checked ? "1" : "0" };
  }

  // Gives a sentence about what no field can be: such a one is as usual.
  show(state) {
    let wrong = "";
    for (const name of Object.keys(FIELDS)) {
      const field = this.form.elements[name], asked = state[name];
      if (name === "new") field.checked = asked !== "0"; else field.value = asked;
      if (name === "new" ? "01".includes(asked) : field.value === asked && field.validity.valid) continue;
      wrong ||= ` This link says ${name}=${asked.slice(0, 30)}, which cannot be; ${name} is ${FIELDS[name] || "empty"} here.`;
      field.value = FIELDS[name];
    }
    this.say();
    return wrong;
  }

  say() {
    const { t, k, p } = this.form;
    this.form.elements["t-said"].value = Number(t.value).toFixed(2);
    this.form.elements["k-said"].value = k.value === "0" ? "all" : k.value;
    this.form.elements["p-said"].value = p.value === "1" ? "all" : percent(Number(p.value));
  }

  options() {
    const { seed, prefix, label, t, k, p } = this.form, fresh = this.form.elements.new.checked && !$("new-field").hidden;
    return { seed: BigInt(seed.value) & MASK, prefix: prefix.value.replace(new RegExp(`^${SPACE}+`), ""),
      temperature: Number(t.value), topK: Number(k.value) || null, topP: Number(p.value) === 1 ? null : Number(p.value),
      label: label.value === "" ? null : Number(label.value), fresh, distinct: fresh };
  }

  async start() {
    if (!this.form.reportValidity()) return;
    const run = this.run = {}, wanted = Number(this.form.n.value);
    this.lines = [];
    $("lines").replaceChildren();
    $("stop").disabled = false;
    try {
      const options = this.options();
      await this.make(run, lines(this.model, options), wanted, options.fresh);
    } catch (error) {
      $("made").textContent = error.message;
    }
    if (this.run !== run && this.run) return;
    this.run = null;
    $("stop").disabled = true;
    $("copy").disabled = $("save").disabled = !this.lines.length;
  }

  // In pieces of some milliseconds, so that the page answers meanwhile.
  async make(run, source, wanted, fresh) {
    let enough = false;
    while (!enough && this.run === run) {
      const until = performance.now() + 15, several = [];
      while (!enough && performance.now() < until) {
        const { value, done } = source.next();
        if (value) several.push(value);
        enough = done || this.lines.length + several.length >= wanted;
      }
      this.lines.push(...several.map(one => one.line));
      $("lines").append(...several.map(one => this.item(one)));
      $("made").textContent = `${counted(this.lines.length)} of ${counted(wanted)} lines`;
      await new Promise(resolve => setTimeout(resolve));
    }
    if (this.lines.length < wanted && this.run === run)
      $("made").textContent = `stopped after ${counted(this.lines.length)} of ${counted(wanted)} lines: ${counted(PATIENCE)} tries in a row `
        + (fresh ? "brought no other new line; raise the temperature, or allow known lines" : "brought no line; change what you ask for");
    else if (this.run === run) $("made").textContent = `${counted(wanted)} lines`;
  }

  item({ text, label }) {
    const button = made("button", { type: "button", textContent: text });
    if (label !== null) button.prepend(made("span", { className: "label", textContent: label }), " ");
    button.addEventListener("click", () => this.choose(text, label));
    return made("li", {}, button);
  }

  async copy() {
    const text = this.lines.join("\n") + "\n";
    try {
      await navigator.clipboard.writeText(text);
      $("made").textContent = `Copied ${counted(this.lines.length)} lines.`;
    } catch {
      $("made").textContent = "This browser does not let a file copy; use Download.";
    }
  }

  save() {
    const address = URL.createObjectURL(new Blob([this.lines.join("\n") + "\n"], { type: "text/plain" }));
    made("a", { href: address, download: `${this.model.name.replace(/[^\p{L}\p{N}]+/gu, "-")}.txt` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }
}

// ---------------------------------------------------------------- Letter by letter

const FEW = 10;

class Letters {
  constructor(model) {
    this.model = model;
    this.all = false;
    $("make").label.addEventListener("change", () => this.draw());
    $("back").addEventListener("click", () => this.take(this.tokens.slice(0, -1)));
    $("restart").addEventListener("click", () => this.take([]));
    $("more").addEventListener("click", () => { this.all = !this.all; this.draw(); });
    $("bars").addEventListener("keydown", event => this.moved(event));
  }

  show(text) {
    this.tokens = this.model.cut(text.normalize("NFC")) ?? [];
    this.draw();
  }

  take(tokens) {
    this.tokens = tokens;
    keepInAddress({ letters: tokens.map(token => this.model.texts[token]).join(this.model.between) });
    this.draw();
    ($("bars").querySelector("button") ?? $("back")).focus({ preventScroll: true });
  }

  moved(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], buttons = [...$("bars").children];
    if (event.key === "Backspace") this.take(this.tokens.slice(0, -1));
    else if (step) buttons[buttons.indexOf(document.activeElement) + step]?.focus();
    else return;
    event.preventDefault();
  }

  draw() {
    const { model, tokens } = this, ended = tokens.at(-1) === 0;
    const inside = ended ? tokens.slice(0, -1) : tokens;
    $("letters-text").textContent = inside.map(token => model.texts[token]).join(model.between) + (ended ? " ¶" : "");
    $("back").disabled = $("restart").disabled = !tokens.length;
    $("more").textContent = this.all ? "Show fewer" : "Show all";
    $("more").setAttribute("aria-expanded", this.all);
    $("more").hidden = ended || model.size <= FEW;
    if (ended) { $("bars").replaceChildren(); return; }
    const chosen = $("make").label.value, chances = chancesOf(model, inside, chosen === "" ? null : Number(chosen));
    const order = [...chances.keys()].filter(token => chances[token] > 0)
      .sort((x, y) => chances[y] - chances[x] || x - y).slice(0, this.all ? 1000 : FEW);
    $("bars").replaceChildren(...order.map(token => this.bar(token, chances[token], chances[order[0]])));
  }

  bar(token, share, most) {
    const name = shown(this.model, token), button = made("button", { type: "button" },
      made("span", { className: token ? "name" : "name end", textContent: name }),
      made("span", { className: "bar" }), made("span", { className: "share", textContent: percent(share) }));
    button.children[1].style.width = `${100 * share / most}%`;
    button.addEventListener("click", () => this.take([...this.tokens, token]));
    return button;
  }
}

// The rows of log-probabilities after the boundary and after each token; a label, if there are some, comes first.
function rowsOf(model, tokens, label, each = () => undefined) {
  const reader = new Reader(model), rows = [];
  let row = reader.read(0);
  if (model.labels.length) row = reader.read(model.size - model.labels.length + label);
  for (const token of [...tokens, null]) {
    rows.push(row);
    each(reader, token);
    if (token !== null) row = reader.read(token);
  }
  return rows;
}

// How likely each token is after others. A label by chance (null) is any of them, as likely as it is after these.
function chancesOf(model, tokens, label) {
  const of = label => rowsOf(model, tokens, label).map((row, i) => {
    const weights = weightsOf(row, i ? model.never : [0, ...model.never], {}), sum = total(weights);
    return mapped(weights, one => one / sum);
  });
  if (!model.labels.length || label !== null) return of(label).at(-1);
  const rows = model.labels.map((_, label) => of(label)), likely = model.shares.map((share, label) =>
    tokens.reduce((log, token, i) => log + Math.log(rows[label][i][token]), Math.log(share)));
  const shares = softmax(likely);
  return mapped(rows[0].at(-1), (_, token) => rows.reduce((sum, one, label) => sum + (shares[label] && shares[label] * one.at(-1)[token]), 0));
}

// ---------------------------------------------------------------- Why

class Why {
  constructor(model) {
    this.model = model;
    this.form = $("why");
    this.form.addEventListener("submit", event => event.preventDefault());
    this.form.addEventListener("input", () => { this.draw(); keepInAddress({ line: this.form.line.value }); });
    const select = this.form.elements["why-label"];
    for (const [i, name] of model.labels.entries()) select.append(made("option", { value: i, textContent: name }));
    $("why-label-field").hidden = !model.labels.length;
    this.groups = groupsOf(model);
  }

  show(line, label = null) {
    this.form.line.value = line;
    if (label !== null) this.form.elements["why-label"].value = this.model.labels.indexOf(label);
    this.draw();
  }

  draw() {
    const { model } = this, line = this.form.line.value.normalize("NFC").replace(EDGES, "");
    $("spelled").replaceChildren();
    $("verdict").textContent = $("detail").textContent = "";
    if (!line) return;
    const tokens = model.cut(line), label = model.labels.length ? Number(this.form.elements["why-label"].value) : null;
    if (!tokens) { $("verdict").textContent = "Something in this line stands in none of the lines that the model learned from."; return; }
    const pulls = [];
    const rows = rowsOf(model, tokens, label, (reader, token) => pulls.push(pullsOf(this.groups, reader, token ?? 0)));
    const bits = [...tokens, 0].map((token, i) => -rows[i][token] / Math.LN2);
    const known = isKnown(model, label === null ? line : `${model.labels[label]}\t${line}`);
    $("verdict").textContent = `${total(bits).toFixed(1)} bits, ${(total(bits) / bits.length).toFixed(2)} for each of its `
      + `${bits.length} ${model.between ? "words" : "letters"}, the end included. ${this.familiar(known)}`;
    $("spelled").append(...bits.map((bit, i) => this.letter([...tokens, 0][i], rows[i], bit, pulls[i])));
  }

  familiar(known) {
    if (known === null) return "";
    if (!known) return `It is none of the lines that the model learned from${heldOut(this.model, "; ", ".")}`;
    return this.model.lines.size ? "It is one of the lines that the model learned from."
      : "It is one of the lines that the model learned from, or taken for one by mistake.";
  }

  letter(token, row, bits, pulls) {
    const name = shown(this.model, token), best = [...row.keys()].filter(one => one !== token)
      .sort((x, y) => row[y] - row[x] || x - y).slice(0, 4).map(one => `${shown(this.model, one)} ${percent(Math.exp(row[one]))}`);
    const said = `${name}: ${percent(Math.exp(row[token]))}, ${bits.toFixed(1)} bits. Others: ${best.join(", ")}.${pulls}`;
    const button = made("button", { type: "button", textContent: name, className: `s${Math.min(6, Math.floor(bits / 1.5))}` });
    if (!token) button.classList.add("end");
    button.setAttribute("aria-label", said);
    const tell = () => { $("detail").textContent = said; };
    for (const event of ["mouseenter", "focus", "click"]) button.addEventListener(event, tell);
    return button;
  }
}

// Which addends of the last logits come from counts, and which from networks; none if it is not both.
function groupsOf(model) {
  const needs = model.instructions.map(([op]) => ({ counts: op === "counts", network: op === "linear" }));
  model.instructions.forEach(([, inputs], i) => inputs.forEach(one => {
    needs[i].counts ||= needs[one].counts;
    needs[i].network ||= needs[one].network;
  }));
  const groups = { counts: [], network: [] }, reader = new Reader(model);
  reader.read(0);
  const walk = (place, factor) => {
    const [op, inputs, , number] = model.instructions[place], both = needs[place].counts && needs[place].network;
    // A gate is one number: what it scales says where a product comes from.
    const [said = place] = op === "multiply" ? inputs.filter(one => reader.vectors[one].length > 1) : [];
    if (op === "add" || (op === "log_softmax" && both)) inputs.forEach(one => walk(one, factor));
    else if (op === "scale") walk(inputs[0], factor * number);
    else if (needs[said].counts !== needs[said].network) groups[needs[said].counts ? "counts" : "network"].push([place, factor]);
  };
  walk(model.instructions.length - 1, 1);
  return groups.counts.length && groups.network.length ? groups : null;
}

// By how many bits each group made a token likelier than it makes others, on average by how likely these are.
function pullsOf(groups, reader, token) {
  if (!groups) return "";
  const row = reader.vectors.at(-1), said = [];
  for (const [name, places] of Object.entries(groups)) {
    let pull = 0;
    for (const [place, factor] of places) {
      const vector = reader.vectors[place];
      if (vector.length === row.length) pull += factor * (vector[token] - total(mapped(row, (one, i) => Math.exp(one) * vector[i])));
    }
    if (Math.abs(pull / Math.LN2) >= 0.05) said.push(`${name === "counts" ? "counts" : "the network"} ${pull < 0 ? "−" : "+"}${Math.abs(pull / Math.LN2).toFixed(1)}`);
  }
  return said.length ? ` Bits for it: ${said.join(", ")}.` : "";
}

// ---------------------------------------------------------------- The whole

// Lines that judged the model are not kept, so nothing tells them from new ones.
const heldOut = ({ about: { held_out: number } }, before, after) => number
  ? `${before}${counted(number)} more of the list were held out to judge it, and are not ruled out.` : after;

function about(model, size) {
  const { about: told } = model, per = x => `${(x / Math.LN2).toFixed(3)} bits per character`, rows = [];
  rows.push(["Model", `${told.model ?? "a model"} of ${model.name}, ${counted(told.parameters_here ?? told.parameters ?? 0)} numbers.`]);
  if (typeof told.nats_here === "number") rows.push(["How good", `${per(told.nats_here)} on lines that it had not seen`
    + (typeof told.nats === "number" && per(told.nats) !== per(told.nats_here) ? `; ${per(told.nats)} before it was made small.` : ".")]);
  rows.push(["Size", `${counted(Math.round(size / 1000))} kB, weights in ${told.weights ?? "float32"}; it needs no network.`]);
  if (model.lines.size) rows.push(["Training lines", `${counted(model.lines.size)}, all of them readable in this file.`]);
  else rows.push(["Training lines", model.known ? "Not in this file, only bits that tell known lines from new ones (a Bloom filter): "
    + `1 in ${counted(Math.round(1 / (model.known.error || 1e-9)))} new lines is taken for a known one.`
    : "Not in this file, and nobody kept them, so it cannot tell which lines are new."]);
  if (model.known || model.lines.size) rows.push(["New lines", "Lines that it did not learn from"
    + heldOut(model, "; ", ".")]);
  rows.push(["Rights", "The lines that it learned from, and their licence, are their owner's."]);
  rows.push(["Made by", "spellout export; the same seed makes the same lines as spellout sample --as-it-is of the stored weights."]);
  $("about").append(...rows.flatMap(([name, text]) => [made("dt", { textContent: name }), made("dd", { textContent: text })]));
}

async function main() {
  const text = $("model").textContent;
  let model;
  try { model = await readModel(text); }
  catch { throw new Error("The model in this file is damaged, as after an incomplete download; get the file again."); }
  const why = new Why(model), letters = new Letters(model), making = new Making(model, (line, label) => {
    why.show(line, label);
    keepInAddress({ line });
    $("why-title").scrollIntoView({ block: "nearest" });
    $("spelled").querySelector("button")?.focus({ preventScroll: true });
  });
  const show = () => {
    const state = stateOfAddress();
    $("status").textContent = `Makes more lines like those of ${model.name}, here in your browser.${making.show(state)}`;
    letters.show(state.letters);
    why.show(state.line);
    return making.start();
  };
  about(model, Number(document.querySelector("main").dataset.bytes));
  document.querySelector("main").hidden = false;
  globalThis.addEventListener("hashchange", show);
  await show();
}

if (typeof document !== "undefined") main().catch(error => { $("status").textContent = error.message; });
