// A model's step, run token by token in float64 (see `export/step.py`, which says what each operation does).

const RECENT = 12;

// How a line so far is remembered; `read` takes one more token, and gives the log-probabilities of the next.
class Reader {
  constructor(model) {
    this.model = model;
    this.run = model.run ??= model.instructions.map(one => compiled(model, one));
    this.vectors = new Array(this.run.length);
  }

  read(token) {
    if (token === 0) this.begin();
    else {
      this.place++;
      this.recent = [token, ...this.recent.slice(0, RECENT - 1)];
      if (this.place <= 2) this.first[this.place - 1] = token;
      for (const [name, shape] of Object.entries(this.model.shapes))
        this.states[name] = shape.following.values[this.states[name] * shape.following.columns + shape.classes[token]];
    }
    this.kept = {};
    for (let i = 0; i < this.run.length; i++) this.vectors[i] = this.run[i](this, this.vectors);
    Object.assign(this.memories, this.kept);
    return this.vectors[this.run.length - 1];
  }

  begin() {
    this.place = 0;
    this.recent = new Array(RECENT).fill(0);
    this.first = [0, 0];
    this.states = Object.fromEntries(Object.keys(this.model.shapes).map(name => [name, 0]));
    this.memories = {};
  }

  column(name) {
    return name === "place" ? this.place : (name[0] === "f" ? this.first : this.recent)[name.slice(1) - 1];
  }
}

// A loop, as it is twice as fast as the method `map` of a Float64Array.
function mapped(vector, f) {
  const made = new Float64Array(vector.length);
  for (let i = 0; i < made.length; i++) made[i] = f(vector[i], i);
  return made;
}

const elementwise = f => (model, { inputs: [x] }) => (_, vectors) => mapped(vectors[x], f);
const pairwise = f => (model, { inputs: [x, y] }) => (_, vectors) => {
  const a = vectors[x], b = vectors[y];
  if (a.length === b.length) return mapped(a, (one, i) => f(one, b[i]));
  return b.length === 1 ? mapped(a, one => f(one, b[0])) : mapped(b, one => f(a[0], one));
};

const OPERATIONS = {
  row(model, { names: [name, column] }) {
    const { values, rows, columns } = model.tensors[name];
    return reader => {
      const row = Math.min(reader.column(column), rows - 1) * columns;
      return values.subarray(row, row + columns);
    };
  },
  counts(model, { names: [name] }) {
    const table = model.tables[name];
    return reader => logsOf(countedRow(table, reader, model.size));
  },
  shape(model, { names: [name] }) {
    const { classes, logFactors: { values, columns } } = model.shapes[name];
    return reader => {
      const row = reader.states[name] * columns;
      return mapped(classes, one => values[row + one]);
    };
  },
  constant: (model, { names: [name] }) => () => model.tensors[name].values,
  linear(model, { inputs: [x], names: [weight, bias] }) {
    const { values, rows, columns } = model.tensors[weight], added = bias && model.tensors[bias].values;
    return (_, vectors) => {
      const made = new Float64Array(rows), vector = vectors[x];
      for (let i = 0, place = 0; i < rows; i++) {
        let sum = 0;
        for (let j = 0; j < columns; j++) sum += values[place++] * vector[j];
        made[i] = added ? sum + added[i] : sum;
      }
      return made;
    };
  },
  norm(model, { inputs: [x], names: [gain, bias], number }) {
    const factors = model.tensors[gain].values, added = model.tensors[bias].values;
    return (_, vectors) => {
      const mean = total(vectors[x]) / vectors[x].length, centred = mapped(vectors[x], one => one - mean);
      const deviation = Math.sqrt(total(mapped(centred, one => one * one)) / centred.length + number);
      return mapped(centred, (one, i) => one / deviation * factors[i] + added[i]);
    };
  },
  attend(model, { inputs: [q, k, v], names: [name], number: heads }) {
    return (reader, vectors) => {
      const query = vectors[q], before = reader.memories[name] ?? [], part = query.length / heads;
      const kept = reader.kept[name] = [...before, [vectors[k], vectors[v]]], made = new Float64Array(query.length);
      for (let start = 0; start < query.length; start += part) {
        const scores = Float64Array.from(kept, ([key]) => {
          let sum = 0;
          for (let i = start; i < start + part; i++) sum += query[i] * key[i];
          return sum / Math.sqrt(part);
        });
        const weights = softmax(scores);
        kept.forEach(([, value], t) => {
          for (let i = start; i < start + part; i++) made[i] += weights[t] * value[i];
        });
      }
      return made;
    };
  },
  average(model, { inputs: [x], names: [name] }) {
    return (reader, vectors) => {
      const before = reader.memories[name], number = before ? before.number + 1 : 1;
      const sum = before ? mapped(vectors[x], (one, i) => before.sum[i] + one) : vectors[x];
      reader.kept[name] = { sum, number };
      return mapped(sum, one => one / number);
    };
  },
  recall: (model, { names: [name], number }) => reader => reader.memories[name] ?? new Float64Array(number),
  remember: (model, { inputs: [x], names: [name] }) => (reader, vectors) => reader.kept[name] = vectors[x],
  add: pairwise((x, y) => x + y),
  multiply: pairwise((x, y) => x * y),
  affine(model, { inputs: [x], names: [factor, addend] }) {
    const factors = model.tensors[factor].values, added = model.tensors[addend].values;
    return (_, vectors) => mapped(vectors[x], (one, i) => one * factors[i] + added[i]);
  },
  scale: (model, { inputs: [x], number }) => (_, vectors) => mapped(vectors[x], one => one * number),
  complement: elementwise(x => 1 - x),
  tanh: elementwise(Math.tanh),
  sigmoid: elementwise(x => 1 / (1 + Math.exp(-x))),
  relu: elementwise(x => Math.max(x, 0)),
  gelu: elementwise(x => x * (1 + erf(x / Math.SQRT2)) / 2),
  exp: elementwise(Math.exp),
  log: elementwise(Math.log),
  log_softmax: (model, { inputs: [x] }) => (_, vectors) => {
    const most = largest(vectors[x]), rest = Math.log(total(mapped(vectors[x], one => Math.exp(one - most))));
    return mapped(vectors[x], one => one - most - rest);
  },
  join: (model, { inputs }) => (_, vectors) => {
    const made = new Float64Array(inputs.reduce((sum, one) => sum + vectors[one].length, 0));
    inputs.reduce((place, one) => (made.set(vectors[one], place), place + vectors[one].length), 0);
    return made;
  },
  part(model, { inputs: [x], number }) {
    const start = Math.floor(number / 2 ** 24);
    return (_, vectors) => vectors[x].subarray(start, start + number % 2 ** 24);
  },
};

function compiled(model, [op, inputs, names, number]) {
  return OPERATIONS[op](model, { inputs, names, number });
}

const total = vector => { let sum = 0; for (const one of vector) sum += one; return sum; };
const largest = vector => { let most = -Infinity; for (const one of vector) if (one > most) most = one; return most; };

function softmax(logits) {
  const most = largest(logits), weights = mapped(logits, one => Math.exp(one - most)), sum = total(weights);
  return mapped(weights, one => one / sum);
}

// A series of positive terms only, so that nothing cancels.
function erf(x) {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x, sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) sum += term *= 2 * x * x / (2 * n + 1);
  return sum * 2 / Math.sqrt(Math.PI) * Math.exp(-x * x);
}

// ---------------------------------------------------------------- What counts say

const KEPT = 1 << 18; // so many probabilities of a level's contexts are kept once they were worked out

const logsOf = row => row.kept ? row.logs ??= mapped(row, Math.log) : mapped(row, Math.log);

// The probabilities (V,) after the longest context that was seen, mixed with those after shorter ones.
function countedRow(table, reader, size) {
  const contexts = contextsOf(table, reader, size);
  let row = table.uniform ??= new Float64Array(size).fill(1 / size);
  contexts.forEach((context, depth) => {
    if (context < 0) return;
    const level = table.levels[depth], few = level.values.length * size <= KEPT;
    const kept = few && (level.rows ??= new Array(level.values.length));
    if (kept && kept[context]) row = kept[context];
    else {
      row = mixedRow(level, context, table.discounts.subarray(4 * depth), table.concentrations[depth], row);
      if (kept) {
        kept[context] = row;
        row.kept = true;
      }
    }
  });
  return row;
}

function mixedRow(level, context, discounts, concentration, shorter) {
  const start = level.offsets[context], end = level.offsets[context + 1];
  let sum = concentration, mass = concentration;
  for (let i = start; i < end; i++) {
    sum += level.counts[i];
    mass += discounts[Math.min(level.counts[i], 3)];
  }
  const weight = mass / sum, row = mapped(shorter, one => weight * one);
  for (let i = start; i < end; i++)
    row[level.tokens[i]] += (level.counts[i] - discounts[Math.min(level.counts[i], 3)]) / sum;
  return row;
}

// The context at each level, as far as it was seen; if levels are not mixed, that of the longest only.
function contextsOf(table, reader, size) {
  const found = [0];
  let before = 1, reaches = table.columns.length > 0;
  for (let depth = 1; depth < table.levels.length; depth++) {
    const column = before === 0 ? 0 : valueOf(table, reader, table.columns[depth - 1], size);
    const parent = found[depth - 1];
    found.push(parent < 0 ? -1 : childOf(table.levels[depth - 1], table.levels[depth], parent, column));
    before = column;
  }
  if (table.interpolated) return found;
  let longest = 0;
  for (let depth = 1; depth < found.length && reaches; depth++) {
    longest = depth;
    reaches = valueOf(table, reader, table.columns[depth - 1], size) !== 0;
  }
  return found.map((context, depth) => depth === longest ? context : -1);
}

function valueOf(table, reader, name, size) {
  if (name === "place") return Math.min(reader.place, size - 1);
  return name[0] === "k" ? table.classes[reader.recent[name.slice(1) - 1]] : reader.column(name);
}

function childOf(short, level, parent, value) {
  let low = short.children[parent], high = short.children[parent + 1];
  while (low < high) {
    const middle = low + high >> 1;
    if (level.values[middle] < value) low = middle + 1; else high = middle;
  }
  return low < short.children[parent + 1] && level.values[low] === value ? low : -1;
}
