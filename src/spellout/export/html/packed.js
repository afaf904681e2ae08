// What a page carries of a model, read: the inverse of the room `packing`.
"use strict";

async function readModel(text) {
  const content = await inflated(bytesOf(text));
  const size = content[0] | content[1] << 8 | content[2] << 16 | content[3] << 24;
  const model = JSON.parse(new TextDecoder().decode(content.subarray(4, 4 + size)));
  const source = { content, place: 4 + size };
  const arrays = model.arrays.map(head => readArray(source, head));
  const next = () => arrays.shift();
  model.tensors = Object.fromEntries(model.tensors.map(name => [name, next()]));
  model.shapes = Object.fromEntries(model.shapes.map(name =>
    [name, { classes: next().values, following: next(), logFactors: next() }]));
  const [counts, lines] = model.bytes;
  const bits = content.subarray(source.place, source.place += counts);
  const coder = Object.keys(model.tables).length ? new Coder(bits, Object.values(model.tables)[0].slots) : null;
  for (const table of Object.values(model.tables)) {
    table.classes = next().values;
    table.discounts = next().values;
    table.concentrations = next().values;
    table.columns = table.columns ? table.columns.split(" ") : [];
    table.levels = readLevels(coder, table, model.size);
    await new Promise(resolve => setTimeout(resolve)); // a page has to answer meanwhile
  }
  model.lines = new Set(frontCoded(content.subarray(source.place, source.place += lines)));
  model.bits = content.subarray(source.place);
  model.cut = cutter(model);
  return model;
}

// Numbers in float64, whatever they are stored in; bytes of one significance stand together.
function readArray(source, [stored, shape]) {
  const size = shape.reduce((a, b) => a * b, 1);
  const planes = bytes => {
    const values = new Uint8Array(size * bytes);
    for (let i = 0; i < size; i++)
      for (let j = 0; j < bytes; j++) values[i * bytes + j] = source.content[source.place + j * size + i];
    source.place += size * bytes;
    return values.buffer;
  };
  const values = new Float64Array(size);
  const columns = shape.length > 1 ? shape[1] : 1;
  if (stored === "int8") {
    const whole = new Int8Array(source.content.slice(source.place, source.place += size).buffer);
    const scales = readArray(source, ["f4", [shape[0]]]).values;
    for (let i = 0; i < size; i++) values[i] = whole[i] * scales[Math.floor(i / columns)];
  } else if (stored === "f2") {
    new Uint16Array(planes(2)).forEach((half, i) => { values[i] = ofHalf(half); });
  } else if (stored === "i8") {
    new BigInt64Array(planes(8)).forEach((whole, i) => { values[i] = Number(whole); });
  } else {
    const types = { f4: Float32Array, f8: Float64Array, u1: Uint8Array, u2: Uint16Array, u4: Uint32Array };
    values.set(new types[stored](planes(Number(stored[1]))));
  }
  return { values, rows: shape[0], columns };
}

function ofHalf(half) {
  const sign = half >> 15 ? -1 : 1, exponent = half >> 10 & 31, fraction = half & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
}

// Sorted lines: how many bytes each has in common with the one before, and the rest.
function frontCoded(bytes) {
  const lines = [], decoder = new TextDecoder();
  let before = [];
  for (let place = 0; place < bytes.length;) {
    const end = bytes.indexOf(10, place + 1);
    before = [...before.slice(0, bytes[place]), ...bytes.subarray(place + 1, end)];
    lines.push(decoder.decode(new Uint8Array(before)));
    place = end + 1;
  }
  return lines;
}

// ---------------------------------------------------------------- Counts: mixed contexts, arithmetic coding

const CONTEXTS = 6, MOST_ODDS = 2047, MOST_MIXED = 3071, SLOW = 255;
const between = (low, x, high) => Math.max(low, Math.min(high, x));
const rounded = x => { const low = Math.floor(x), half = x - low === 0.5; return half ? low + (low & 1) : Math.round(x); };
const ODDS = Int16Array.from({ length: 4096 }, (_, i) =>
  between(-MOST_ODDS, rounded(Math.log((i + 0.5) / (4095.5 - i)) * 256), MOST_ODDS));
const CHANCE = Uint16Array.from({ length: 2 * MOST_MIXED + 1 }, (_, i) =>
  between(1, rounded(65536 / (1 + Math.exp(-(i - MOST_MIXED) / 256))), 65535));
const RATE = Uint16Array.from({ length: SLOW + 1 }, (_, n) => Math.floor(32768 / (n + 1.5)));

function mixed(a, b) {
  const h = Math.imul(a ^ b, 0x9e3779b1);
  return (h ^ h >>> 15) >>> 0;
}

function bucket(n) {
  let k = 0;
  while (n > 7) { n = Math.floor(n / 2); k++; }
  return n + 4 * k;
}

// Six contexts say how likely a 1 is; what they say is mixed, and the bit that is read teaches all of them.
class Coder {
  constructor(data, slots) {
    this.data = data;
    this.shift = 32 - slots;
    this.chances = new Uint16Array(1 << slots).fill(32768);
    this.times = new Uint8Array(1 << slots);
    this.weights = new Float64Array(8 * 16 * CONTEXTS).fill(26214);
    this.hashes = new Float64Array(CONTEXTS);
    this.places = new Int32Array(CONTEXTS);
    this.odds = new Int32Array(CONTEXTS);
    this.low = 0;
    this.high = 0xffffffff;
    this.read = 0;
    this.place = 0;
    for (let i = 0; i < 4; i++) this.read = this.read * 256 + (data[this.place++] ?? 0);
  }

  bit(phase) {
    const { chances, times, weights, hashes, places, odds } = this;
    for (let i = 0; i < CONTEXTS; i++)
      places[i] = Math.imul(hashes[i] + i * 0x3c6ef372 | 0, 0x85ebca6b) >>> this.shift;
    const first = ((phase * 4 + Math.min(3, times[places[0]])) * 4 + Math.min(3, times[places[1]])) * CONTEXTS;
    let total = 0;
    for (let i = 0; i < CONTEXTS; i++) {
      odds[i] = ODDS[chances[places[i]] >> 4];
      total += odds[i] * weights[first + i];
    }
    const chance = CHANCE[between(-MOST_MIXED, Math.floor(total / 65536), MOST_MIXED) + MOST_MIXED];
    const bit = this.narrowed(chance);
    const wrong = (bit << 16) - chance;
    for (let i = 0; i < CONTEXTS; i++) {
      const place = places[i], before = chances[place];
      weights[first + i] += odds[i] * wrong * 14 >> 20;
      chances[place] = before + ((65535 * bit - before) * RATE[times[place]] >> 15);
      if (times[place] < SLOW) times[place]++;
    }
    return bit;
  }

  narrowed(chance) {
    const middle = this.low + Math.floor((this.high - this.low) * chance / 65536);
    const bit = this.read <= middle ? 1 : 0;
    if (bit) this.high = middle; else this.low = middle + 1;
    while (((this.low ^ this.high) & 0xff000000) === 0) {
      this.low = this.low << 8 >>> 0;
      this.high = (this.high << 8 | 255) >>> 0;
      this.read = (this.read << 8 | (this.data[this.place++] ?? 0)) >>> 0;
    }
    return bit;
  }
}

const columnNumber = name => name === "place" ? 15 : { c: 0, f: 12, k: 16 }[name[0]] + Number(name.slice(1));
const valued = (column, value) => mixed(column * 7919 + 1, value + 12345);
const relation = (column, other) =>
  column <= 12 && other <= 12 ? column - other + 16 : column * 64 + other + 64;

// What is known where a value of `column` is wanted after the values of `columns`.
function looked(columns, values, column, sums) {
  const depth = values.length;
  let whole = 0;
  for (let i = 0; i < depth; i++) whole = whole + valued(columns[i], values[i]) >>> 0;
  const at = { whole, butLast: whole, butFirst: whole, relation: column, relations: column, newest: 0, older: 0,
    column, depth, sums };
  if (depth > 0) {
    at.butLast = whole - valued(columns[depth - 1], values[depth - 1]) >>> 0;
    at.butFirst = whole - valued(columns[0], values[0]) >>> 0;
    at.relation = at.relations = relation(column, columns[depth - 1]);
    at.newest = values[depth - 1];
  }
  if (depth > 1) {
    at.relations = at.relation * 1024 + relation(column, columns[depth - 2]);
    at.older = values[depth - 2];
  }
  return at;
}

function readFlag(coder, phase, at, left, number, before) {
  const h = coder.hashes, known = mixed(at.column + phase * 64, bucket(left) * 16 + Math.min(number, 3) * 2 + at.sums);
  h[0] = mixed(at.whole, at.column * 1000 + 777 + before);
  h[1] = known;
  h[2] = mixed(known, at.depth);
  h[3] = mixed(known, at.relation + 99);
  h[4] = mixed(known, at.newest);
  h[5] = mixed(known, before + 7);
  return coder.bit(phase);
}

function readSymbol(coder, at, before, likely, width) {
  const h = coder.hashes, one = mixed(at.relation, at.newest);
  const seeds = [mixed(at.whole, at.column * 64 + before + 1), mixed(at.butLast, at.column),
    mixed(at.butFirst, at.column * 3), mixed(mixed(at.relations, at.newest), at.older), mixed(one, likely)];
  let node = 1;
  for (let i = 0; i < width; i++) {
    h[0] = mixed(seeds[0], node);
    h[1] = mixed(seeds[1], node + 7777);
    h[2] = mixed(seeds[2], node);
    h[3] = mixed(one, node);
    h[4] = mixed(seeds[3], node);
    h[5] = mixed(seeds[4], node * 5);
    node = node * 2 + coder.bit(1);
  }
  return node - 2 ** width;
}

function readPresent(coder, at, token, left, total, times, others) {
  const h = coder.hashes, known = (bucket(left) * 32 + bucket(total - left)) * 64 + others;
  h[0] = mixed(at.whole, token * 9 + 3);
  h[1] = mixed(at.butLast, token * 11 + 5);
  h[2] = mixed(at.butFirst, token * 13 + 1);
  h[3] = mixed(known * 2 + at.sums, at.depth);
  h[4] = mixed(known, mixed(mixed(at.relation, at.newest), token));
  h[5] = mixed(mixed(bucket(left), bucket(times)), others);
  return coder.bit(2);
}

function readCount(coder, at, token, left, times, others) {
  const h = coder.hashes, known = bucket(left) * 64 + others, here = at.depth * 64 + at.column;
  if (at.sums && left > 0) {
    h[0] = mixed(at.whole, token * 9 + 8);
    h[1] = mixed(at.butLast, token * 11 + 8);
    h[2] = known + 3;
    h[3] = mixed(known, bucket(times));
    h[4] = mixed(known, here);
    h[5] = mixed(known, at.newest);
    if (coder.bit(6)) return left;
  }
  let size = 0;
  for (; size < 40; size++) {
    h[0] = mixed(at.whole, token * 9 + 4 + size * 1000);
    h[1] = mixed(at.butLast, token * 11 + 6 + size * 1000);
    h[2] = mixed(known * 2 + at.sums, size);
    h[3] = mixed(mixed(known, bucket(times)), size);
    h[4] = mixed(mixed(bucket(left), here), size);
    h[5] = mixed(mixed(bucket(left), bucket(times)), size);
    if (!coder.bit(3)) break;
  }
  let number = 1;
  for (let i = 0; i < size; i++) {
    const rest = mixed(size, number);
    h[0] = mixed(at.whole, token * 9 + 5 + number * 1000 + size);
    h[1] = mixed(at.butLast, token * 11 + 7 + number * 1000);
    h[2] = mixed(rest, bucket(left));
    h[3] = mixed(rest, at.depth + 900);
    h[4] = rest;
    h[5] = mixed(rest, Math.min(left, 50) + 99);
    number = number * 2 + coder.bit(4);
  }
  return number;
}

// The entries of one context, from those of the shorter one: `left` of each have not been given to a longer one.
function readFollowing(coder, at, shorter, left, last, width, level, first) {
  const listed = shorter.length === 0 || shorter.length > 256;
  let place = first, total = 0, waiting = 0, before = -1, final = 0;
  for (const [token] of shorter) { total += left[token]; waiting += left[token] > 0; }
  if (listed && !readFlag(coder, 0, at, total, 0, -1)) return place;
  for (let candidate = 0; listed ? !final : candidate < shorter.length; candidate++) {
    let token, times = 0;
    if (listed) {
      final = readFlag(coder, 5, at, total, place - first, before);
      token = before = readSymbol(coder, at, before, 0, width);
    } else [token, times] = shorter[candidate];
    const others = (Math.min(waiting, 7) * 4 + Math.min(place - first, 3)) * 2 + last, remaining = left[token];
    waiting -= remaining > 0;
    if (!listed && !readPresent(coder, at, token, remaining, total, times, others)) continue;
    const count = readCount(coder, at, token, remaining, times, others);
    level.tokens[place] = token;
    level.counts[place++] = count;
    const taken = Math.min(at.sums ? count : 1, remaining);
    left[token] -= taken;
    total -= taken;
  }
  return place;
}

// A table's levels. Contexts of one column more stand under those they go on from: `children` says where.
function readLevels(coder, table, size) {
  const left = new Float64Array(size), numbers = table.columns.map(columnNumber);
  let width = 0;
  while (2 ** width < size) width++;
  const levels = table.sizes.map(([contexts, entries]) => ({
    values: new Int32Array(contexts), parents: new Int32Array(contexts), children: new Int32Array(contexts + 1),
    offsets: new Int32Array(contexts + 1), tokens: new Int32Array(entries), counts: new Float64Array(entries),
  }));
  const nothing = { ...looked([], [], 0, 0), column: 0, relation: 0, relations: 0, sums: 0 };
  levels[0].offsets[1] = readFollowing(coder, nothing, [], left, 0, width, levels[0], 0);
  for (let depth = 1; depth < levels.length; depth++) {
    const short = levels[depth - 1], level = levels[depth], columns = numbers.slice(0, depth);
    let place = 0;
    for (let parent = 0; parent < short.values.length; parent++) {
      const shorter = [], path = pathOf(levels, depth - 1, parent);
      for (let i = short.offsets[parent]; i < short.offsets[parent + 1]; i++) {
        shorter.push([short.tokens[i], short.counts[i]]);
        left[short.tokens[i]] = short.counts[i];
      }
      place = readChildren(coder, { table, columns, path, shorter, left, width, level, parent }, place);
      short.children[parent + 1] = place;
      for (const [token] of shorter) left[token] = 0;
    }
  }
  levels[levels.length - 1].children = null;
  return levels;
}

function readChildren(coder, { table, columns, path, shorter, left, width, level, parent }, place) {
  const depth = path.length, at = looked(columns, path, columns[depth], table.sums);
  const remaining = () => shorter.reduce((sum, [token]) => sum + left[token], 0);
  if (!readFlag(coder, 0, at, remaining(), 0, -1)) return place;
  for (let number = 0, before = -1, last = 0; !last; number++, place++) {
    last = readFlag(coder, 5, at, remaining(), number, before);
    const likely = shorter.find(([token]) => left[token] > 0);
    before = readSymbol(coder, at, before, likely ? likely[0] : 0, width);
    const below = looked(columns, [...path, before], 0, table.sums);
    level.values[place] = before;
    level.parents[place] = parent;
    level.offsets[place + 1] = readFollowing(coder, below, shorter, left, last, width, level, level.offsets[place]);
  }
  return place;
}

function pathOf(levels, depth, context) {
  const path = [];
  for (; depth > 0; depth--) {
    path.unshift(levels[depth].values[context]);
    context = levels[depth].parents[context];
  }
  return path;
}
