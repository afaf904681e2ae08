// Lines drawn from a model: the same ones as Python draws with the same seed (see `generation/sampling.py`).

// ---------------------------------------------------------------- Random numbers: Philox 4x64-10 as NumPy has it

const MASK = (1n << 64n) - 1n;
const STEPS_A_PAGE = 32;

function philox(counter, key) {
  let [a, b, c, d] = counter, [k, l] = key;
  for (let round = 0; round < 10; round++) {
    const x = 0xd2e7470ee14c6c93n * a, y = 0xca5a826395121157n * c;
    [a, b, c, d] = [y >> 64n ^ b ^ k, y & MASK, x >> 64n ^ d ^ l, x & MASK];
    k = k + 0x9e3779b97f4a7c15n & MASK;
    l = l + 0xbb67ae8584caa73bn & MASK;
  }
  return [a, b, c, d];
}

// The uniform numbers in [0, 1) of one candidate, step by step.
class Numbers {
  constructor(seed, candidate) {
    this.key = [seed, 0n];
    this.first = BigInt(candidate) * BigInt(STEPS_A_PAGE / 4);
    this.block = -1;
  }

  at(step) {
    const block = step >> 2;
    if (block !== this.block) {
      // NumPy counts on before it draws.
      const place = this.first + BigInt(block % (STEPS_A_PAGE / 4)) + 1n, page = BigInt(Math.floor(step / STEPS_A_PAGE));
      this.four = philox([place & MASK, page + (place >> 64n), 0n, 0n], this.key);
      this.block = block;
    }
    return Number(this.four[step & 3] >> 11n) * 2 ** -53;
  }
}

// ---------------------------------------------------------------- Choosing a token

// Weights after temperature, top-k and top-p; those of banned tokens are 0. Ties go to the lower token.
function weightsOf(row, banned, { temperature = 1, topK = null, topP = null }) {
  let logs = Float64Array.from(row);
  for (const token of banned) logs[token] = -Infinity;
  if (logs.some(Number.isNaN)) throw new Error("The model gives no probabilities: its file is damaged.");
  if (temperature !== 1) logs = mapped(logs, one => one / temperature);
  const most = largest(logs), weights = mapped(logs, one => Math.exp(one - most));
  if (topK === null && topP === null) return weights;
  const order = Array.from(weights.keys()).sort((x, y) => weights[y] - weights[x] || x - y);
  const ranked = Float64Array.from(order, token => weights[token]);
  if (topK !== null) ranked.fill(0, topK);
  if (topP !== null) {
    const least = topP * total(ranked);
    let sum = 0;
    for (let i = 0; i < ranked.length; i++) {
      const one = ranked[i];
      sum += one;
      // What comes before a token decides, so the likeliest one always stays.
      if (sum - one >= least) ranked[i] = 0;
    }
  }
  const kept = new Float64Array(weights.length);
  order.forEach((token, i) => { kept[token] = ranked[i]; });
  return kept;
}

function inverted(weights, number) {
  const wanted = number * total(weights);
  let sum = 0, chosen = 0, last = 0;
  for (let i = 0; i < weights.length; i++) {
    sum += weights[i];
    if (sum <= wanted) chosen++;
    if (weights[i] > 0) last = i;
  }
  return Math.min(chosen, last);
}

// ---------------------------------------------------------------- Texts

const SPACE = "[\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]"; // as in Python
const SPACES = new RegExp(`${SPACE}+`), EDGES = new RegExp(`^${SPACE}+|${SPACE}+$`, "g");

// How a text becomes tokens: words where there are spaces, else the longest tokens there are. null: it has none.
function cutter(model) {
  const tokenOf = new Map();
  const longest = new Map();
  model.texts.forEach((text, token) => {
    if (!text || tokenOf.has(text)) return;
    tokenOf.set(text, token);
    longest.set(text[0], Math.max(text.length, longest.get(text[0]) ?? 0));
  });
  if (model.between) return text => {
    const tokens = text.split(SPACES).filter(Boolean).map(word => tokenOf.get(word));
    return tokens.includes(undefined) ? null : tokens;
  };
  return text => {
    const tokens = [];
    for (let start = 0; start < text.length;) {
      let end = start + Math.max(longest.get(text[start]) ?? 0, 0);
      while (end > start && !tokenOf.has(text.slice(start, end))) end--;
      if (end > start) {
        tokens.push(tokenOf.get(text.slice(start, end)));
        start = end;
        continue;
      }
      const character = String.fromCodePoint(text.codePointAt(start));
      for (const byte of new TextEncoder().encode(character)) tokens.push(tokenOf.get(halfOf(byte)));
      if (tokens.includes(undefined)) return null;
      start += character.length;
    }
    return tokens;
  };
}

// A byte alone is half a surrogate pair, as in Python.
const halfOf = byte => byte < 128 ? String.fromCharCode(byte) : String.fromCharCode(0xdc00 + byte);

// What tokens write, if a file could hold it and would be read as these tokens; else null.
function textOf(model, tokens) {
  let text = tokens.map(token => model.texts[token]).join(model.between);
  if (/(^|[^\ud800-\udbff])[\udc80-\udcff]/.test(text)) text = ofBytes(text);
  if (!text || text !== text.normalize("NFC") || text !== text.replace(EDGES, "")) return null;
  if (model.pieces ??= model.texts.some(one => [...one].length > 1)) {
    const again = model.cut(text);
    if (!again || again.length !== tokens.length || again.some((token, i) => token !== tokens[i])) return null;
  }
  return text;
}

function ofBytes(text) {
  const bytes = [];
  for (const character of text) {
    const code = character.codePointAt(0);
    if (code >= 0xdc80 && code <= 0xdcff) bytes.push(code - 0xdc00);
    else bytes.push(...new TextEncoder().encode(character));
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(new Uint8Array(bytes));
  } catch {
    return null;
  }
}

// ---------------------------------------------------------------- Training lines

// Whether a line was learned from: certain if the lines are here, else by the bits of a Bloom filter. null: unknown.
function isKnown(model, line) {
  if (model.lines.size) return model.lines.has(line);
  if (!model.known) return null;
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(line)) hash = (hash ^ BigInt(byte)) * 0x100000001b3n & MASK;
  const first = hash & 0xffffffffn, second = hash >> 32n | 1n;
  for (let i = 0n; i < BigInt(model.known.hashes); i++) {
    const bit = Number((first + i * second) % BigInt(model.known.size));
    if (!(model.bits[bit >> 3] >> (bit & 7) & 1)) return false;
  }
  return true;
}

// ---------------------------------------------------------------- Lines

// One candidate: its text, or null if it is none, and its label.
function candidate(model, options, prefix, number, reader = new Reader(model)) {
  const numbers = new Numbers(BigInt(options.seed ?? 0), number), made = [];
  const before = model.labels.length ? 1 : 0, longest = (options.maxLength ?? model.max_length) + before;
  let label = null, row = reader.read(0);
  if (before) {
    label = drawnLabel(model, options.label ?? null, numbers.at(0));
    row = reader.read(model.size - model.labels.length + label);
  }
  for (const token of prefix.slice(0, longest - before)) { made.push(token); row = reader.read(token); }
  for (;;) {
    const banned = made.length ? model.never : [0, ...model.never];
    const token = inverted(weightsOf(row, banned, options), numbers.at(before + made.length));
    if (!token) break;
    if (made.length + before >= longest) return { text: null };
    made.push(token);
    row = reader.read(token);
  }
  const text = textOf(model, made), name = label === null ? null : model.labels[label];
  return { text, label: name, line: name === null ? text : `${name}\t${text}` };
}

function drawnLabel(model, label, number) {
  if (label !== null) return label;
  let sum = 0, chosen = 0, last = 0;
  model.shares.forEach((share, i) => {
    sum += share;
    if (sum <= number) chosen++;
    if (share > 0) last = i;
  });
  return Math.min(chosen, last);
}

const PATIENCE = 1000;

// Lines one after the other; ends if too many candidates in a row were refused. `undefined` gives way meanwhile.
function* lines(model, options, patience = PATIENCE) {
  const prefix = options.prefix ? model.cut(options.prefix.normalize("NFC")) : [];
  if (!prefix) throw new Error(`The model knows nothing of a character or word in “${options.prefix}”.`);
  const reader = new Reader(model), seen = options.distinct ? new Set() : null;
  for (let number = 0, refused = 0; refused < patience; number++) {
    const one = candidate(model, options, prefix, number, reader);
    if (one.text === null || (options.fresh && isKnown(model, one.line)) || seen?.has(one.line)) {
      refused++;
      yield undefined;
      continue;
    }
    refused = 0;
    seen?.add(one.line);
    yield { ...one, candidate: number };
  }
}

if (typeof module !== "undefined") module.exports = { readModel, Reader, lines, isKnown, weightsOf, philox, Numbers };
