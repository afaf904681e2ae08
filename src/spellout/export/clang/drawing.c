static uint64_t spell_high(uint64_t a, uint64_t b)
{
  uint64_t al = a & 0xffffffffu, ah = a >> 32, bl = b & 0xffffffffu, bh = b >> 32;
  uint64_t low = al * bl, one = ah * bl + (low >> 32), two = al * bh + (one & 0xffffffffu);
  return ah * bh + (one >> 32) + (two >> 32);
}

/* A number in [0, 1): Philox 4x64-10 (Salmon et al. 2011), numbered as NumPy does, eight blocks of four a page. */
static double spell_uniform(uint64_t seed, uint64_t candidate, size_t step)
{
  uint64_t k = seed, m = 0, a, b, c = 0, d = 0, x, y;
  int round;
  a = candidate * 8 + ((uint64_t)step >> 2) % 8 + 1;
  b = ((uint64_t)step >> 5) + (a == 0);
  for (round = 0; round < 10; round++) {
    x = spell_high(UINT64_C(0xd2e7470ee14c6c93), a);
    y = spell_high(UINT64_C(0xca5a826395121157), c);
    d = x ^ d ^ m;
    b = y ^ b ^ k;
    x = UINT64_C(0xd2e7470ee14c6c93) * a;
    y = UINT64_C(0xca5a826395121157) * c;
    a = b;
    b = y;
    c = d;
    d = x;
    k += UINT64_C(0x9e3779b97f4a7c15);
    m += UINT64_C(0xbb67ae8584caa73b);
  }
  x = (step & 2) ? ((step & 1) ? d : c) : ((step & 1) ? b : a);
  return (double)(x >> 11) / 9007199254740992.0;
}

static int spell_compare(const void *a, const void *b)
{
  const spell_ranked *one = (const spell_ranked *)a, *other = (const spell_ranked *)b;
  if (one->weight != other->weight) return one->weight > other->weight ? -1 : 1;
  return one->token < other->token ? -1 : one->token > other->token;
}

/* Keep the weights of the likeliest tokens only. */
static void spell_cut(spell_state *state, int top_k, double top_p)
{
  spell_ranked *ranked = state->ranked;
  double total = 0.0, before = 0.0, one;
  size_t i, n = SPELL_VOCABULARY;
  for (i = 0; i < n; i++) {
    ranked[i].weight = state->weights[i];
    ranked[i].token = i;
  }
  qsort(ranked, n, sizeof *ranked, spell_compare);
  if (top_k > 0)
    for (i = (size_t)top_k; i < n; i++) ranked[i].weight = 0.0;
  if (top_p > 0.0) {
    for (i = 0; i < n; i++) total += ranked[i].weight;
    for (i = 0; i < n; i++) {
      one = ranked[i].weight;
      before += one;
      if (before - one >= top_p * total) ranked[i].weight = 0.0; /* what comes before a token decides */
    }
  }
  for (i = 0; i < n; i++) state->weights[ranked[i].token] = ranked[i].weight;
}

/* The token that a number falls to; SPELL_VOCABULARY if there are no probabilities. */
static size_t spell_choose(spell_state *state, const spell_options *options, int nothing_yet, double number)
{
  double *weights = state->weights, most = -HUGE_VAL, total = 0.0, sum = 0.0;
  const double *row = state->work + spell_result;
  size_t i, chosen = 0, last = 0;
  for (i = 0; i < SPELL_VOCABULARY; i++) weights[i] = options->temperature == 1.0 ? row[i] : row[i] / options->temperature;
  for (i = 0; i < spell_nevers; i++) weights[spell_at(spell_never, i)] = -HUGE_VAL;
  if (nothing_yet) weights[0] = -HUGE_VAL;
  for (i = 0; i < SPELL_VOCABULARY; i++) {
    if (weights[i] != weights[i]) return SPELL_VOCABULARY;
    if (weights[i] > most) most = weights[i];
  }
  if (!(most >= -DBL_MAX && most <= DBL_MAX)) return SPELL_VOCABULARY;
  for (i = 0; i < SPELL_VOCABULARY; i++) weights[i] = exp(weights[i] - most);
  if (options->top_k > 0 || options->top_p > 0.0) spell_cut(state, options->top_k, options->top_p);
  for (i = 0; i < SPELL_VOCABULARY; i++) total += weights[i];
  for (i = 0; i < SPELL_VOCABULARY; i++) {
    sum += weights[i];
    if (sum <= number * total) chosen++;
    if (weights[i] > 0.0) last = i;
  }
  return chosen < last ? chosen : last;
}

/* One character of UTF-8 and its bytes; 0xffffffff and 1 byte if there is none. */
static uint32_t spell_character(const char *text, size_t *bytes)
{
  static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
  const unsigned char *s = (const unsigned char *)text;
  uint32_t code = s[0];
  size_t i, n = code < 0x80 ? 1 : code >= 0xc2 && code < 0xe0 ? 2 : (code & 0xf0) == 0xe0 ? 3 : (code & 0xf8) == 0xf0 ? 4 : 0;
  *bytes = 1;
  if (n == 0) return 0xffffffffu;
  if (n > 1) code &= 0x7fu >> n;
  for (i = 1; i < n; i++) {
    if ((s[i] & 0xc0) != 0x80) return 0xffffffffu;
    code = code << 6 | (s[i] & 0x3fu);
  }
  if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return 0xffffffffu;
  *bytes = n;
  return code;
}

static int spell_is_space(uint32_t code)
{
  if (code < 0x80) return (code >= 9 && code <= 13) || (code >= 28 && code <= 32);
  return code == 0x85 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
         code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

static int spell_is_text(const char *text)
{
  size_t bytes;
  for (; *text; text += bytes)
    if (spell_character(text, &bytes) == 0xffffffffu) return 0;
  return 1;
}

/* Whether a file could hold a line: UTF-8, not blank, nothing blank at its ends. */
static int spell_is_line(const char *text)
{
  uint32_t code = 32;
  size_t bytes;
  if (!spell_is_text(text) || spell_is_space(spell_character(text, &bytes))) return 0;
  for (; *text; text += bytes) code = spell_character(text, &bytes);
  return !spell_is_space(code);
}

/* The longest token that a text begins with, or, if `whole`, the one that it is; 0 if there is none. */
static int spell_longest(const char *text, size_t length, int whole, size_t *bytes)
{
  int found = 0;
  size_t token, size;
  *bytes = 0;
  for (token = 1; token < SPELL_VOCABULARY; token++) {
    if (length == 0 || spell_texts[token][0] != text[0]) continue;
    size = strlen(spell_texts[token]);
    if (size <= *bytes || size > length || (whole && size != length)) continue;
    if (memcmp(spell_texts[token], text, size) != 0) continue;
    found = (int)token;
    *bytes = size;
  }
  return found;
}

int spell_tokens(const char *text, int *tokens, size_t room)
{
  size_t bytes, length, count = 0;
  int token;
  while (*text) {
    length = strlen(text);
    if (spell_words) {
      if (spell_is_space(spell_character(text, &bytes))) {
        text += bytes;
        continue;
      }
      for (length = 0; text[length] && !spell_is_space(spell_character(text + length, &bytes)); length += bytes) continue;
    }
    token = spell_longest(text, length, spell_words, &bytes);
    if (token == 0) return -1;
    if (count < room) tokens[count] = token;
    count++;
    text += bytes;
  }
  return (int)count;
}

const char *spell_text(int token)
{
  return token >= 0 && token < SPELL_VOCABULARY ? spell_texts[token] : NULL;
}

const char *spell_label(int label)
{
  return label >= 0 && label < SPELL_LABELS ? spell_labels[label] : NULL;
}

int spell_next(spell_state *state, int token, double *log_probabilities)
{
  if (token < 0 || token >= SPELL_VOCABULARY || (token && state->place + 1 >= spell_places)) return 0;
  spell_read(state, (size_t)token);
  memcpy(log_probabilities, state->work + spell_result, SPELL_VOCABULARY * sizeof *log_probabilities);
  return 1;
}

/* Put text after what stands there, if it fits with a final 0. */
static int spell_put(char *line, size_t capacity, size_t *length, const char *text)
{
  size_t size = strlen(text);
  if (size >= capacity - *length) return 0;
  memcpy(line + *length, text, size + 1);
  *length += size;
  return 1;
}

/* The tokens that were made as a line. */
static int spell_written(spell_state *state, size_t count, const char *label, char *line, size_t capacity)
{
  size_t i, start = 0, length;
  int fits = capacity > 0;
  if (fits) line[0] = 0;
  if (label) fits = fits && spell_put(line, capacity, &start, label) && spell_put(line, capacity, &start, "\t");
  for (length = start, i = 0; i < count && fits; i++) {
    if (i && spell_words) fits = spell_put(line, capacity, &length, " ");
    fits = fits && spell_put(line, capacity, &length, spell_texts[state->made[i]]);
  }
  if (!fits) return -1;
  if (!spell_is_line(line + start) || !spell_is_composed(line + start)) return 0;
  if (spell_pieces) { /* a file would be read as tokens: as these? */
    if (spell_tokens(line + start, state->again, SPELL_MAX_LENGTH) != (int)count) return 0;
    for (i = 0; i < count; i++)
      if (state->again[i] != state->made[i]) return 0;
  }
  return (int)length;
}

/* Which label: the one asked for, or the one that a number falls to; spell_names, how many there are, if there is no such. */
static size_t spell_drawn(const char *label, double number)
{
  size_t i, last = 0, chosen = 0;
  double sum = 0.0;
  for (i = 0; label && i < spell_names; i++)
    if (strcmp(spell_labels[i], label) == 0) return i;
  if (label) return spell_names;
  for (i = 0; i < spell_names; i++) {
    sum += spell_shares[i];
    if (sum <= number) chosen++;
    if (spell_shares[i] > 0.0) last = i;
  }
  return chosen < last ? chosen : last;
}

static int spell_checked(const spell_options *given, spell_options *options)
{
  memset(options, 0, sizeof *options);
  if (given) *options = *given;
  if (options->temperature == 0.0) options->temperature = 1.0;
  if (options->max_length == 0) options->max_length = SPELL_MAX_LENGTH;
  return options->temperature > 0.0 && options->temperature <= DBL_MAX && options->top_k >= 0 && options->top_p >= 0.0 &&
         options->top_p <= 1.0 && options->max_length > 0 && options->max_length <= SPELL_MAX_LENGTH;
}

int spell_line(spell_state *state, const spell_options *given, uint64_t candidate, char *line, size_t capacity)
{
  spell_options options;
  size_t i, count, longest, label = 0, token, before = spell_names ? 1 : 0;
  int begun;
  if (!spell_checked(given, &options)) return -1;
  longest = (size_t)options.max_length;
  begun = options.prefix ? spell_tokens(options.prefix, state->made, longest) : 0;
  if (begun < 0 || (options.prefix && !spell_is_text(options.prefix))) return -1;
  count = (size_t)begun < longest ? (size_t)begun : longest;
  if (before || options.label) label = spell_drawn(options.label, spell_uniform(options.seed, candidate, 0));
  if (options.label && label == spell_names) return -1;
  spell_read(state, 0);
  if (before) spell_read(state, SPELL_VOCABULARY - spell_names + label);
  for (i = 0; i < count; i++) spell_read(state, (size_t)state->made[i]);
  for (;;) {
    token = spell_choose(state, &options, count == 0, spell_uniform(options.seed, candidate, before + count));
    if (token == SPELL_VOCABULARY) return -1;
    if (token == 0) return spell_written(state, count, before ? spell_labels[label] : NULL, line, capacity);
    if (count >= longest) return 0;
    state->made[count++] = (int)token;
    spell_read(state, token);
  }
}

int spell_new_line(spell_state *state, const spell_options *options, uint64_t *candidate, char *line, size_t capacity)
{
  int refused, length;
  for (refused = 0; refused < 10000; refused++) {
    length = spell_line(state, options, *candidate, line, capacity);
    if (length < 0) return length;
    ++*candidate;
    if (length > 0 && spell_known(line) != 1) return length;
  }
  return 0;
}
