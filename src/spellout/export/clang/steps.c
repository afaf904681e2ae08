typedef struct {
  const void *numbers;
  int bytes;
} spell_whole;

static size_t spell_at(spell_whole of, size_t place)
{
  if (of.bytes == 1) return ((const uint8_t *)of.numbers)[place];
  if (of.bytes == 2) return ((const uint16_t *)of.numbers)[place];
  return ((const uint32_t *)of.numbers)[place];
}

typedef struct {
  const void *numbers;
  const float *scales;
  size_t rows, columns;
  int bytes;
} spell_matrix;

static double spell_half(uint16_t bits)
{
  uint64_t wide = (uint64_t)(bits & 0x7fffu) << 42;
  double number;
  memcpy(&number, &wide, sizeof number);
  number = ldexp(number, 1008);
  return bits & 0x8000u ? -number : number;
}

static double spell_weight(const spell_matrix *of, size_t row, size_t column)
{
  size_t place = row * of->columns + column;
  if (of->bytes == 1) return (double)((const int8_t *)of->numbers)[place] * (double)of->scales[row];
  if (of->bytes == 2) return spell_half(((const uint16_t *)of->numbers)[place]);
  if (of->bytes == 4) return (double)((const float *)of->numbers)[place];
  return ((const double *)of->numbers)[place];
}

static size_t spell_past(const spell_state *state, int column)
{
  if (column == 0) return state->place;
  if (column <= 12) return state->recent[column - 1];
  return state->first[column - 13];
}

static void spell_row(const spell_matrix *of, size_t row, double *y)
{
  size_t i;
  if (row >= of->rows) row = of->rows - 1;
  for (i = 0; i < of->columns; i++) y[i] = spell_weight(of, row, i);
}

static void spell_constant(const spell_matrix *of, double *y)
{
  spell_row(of, 0, y);
}

typedef struct {
  spell_whole first, columns; /* where longer contexts begin, by the shorter one; and each one's own column */
  spell_whole offsets, tokens, counts;
  double discounts[4], concentration;
} spell_level;

typedef struct {
  size_t levels;
  int interpolated;
  const int *columns;
  spell_whole classes;
  const spell_level *level;
} spell_table;

static void spell_mix(const spell_level *level, size_t context, double *y)
{
  size_t start = spell_at(level->offsets, context), end = spell_at(level->offsets, context + 1), i, count;
  double total = level->concentration, mass = total, rest;
  for (i = start; i < end; i++) {
    count = spell_at(level->counts, i);
    total += (double)count;
    mass += level->discounts[count < 3 ? count : 3];
  }
  rest = mass / total;
  for (i = 0; i < SPELL_VOCABULARY; i++) y[i] = rest * y[i];
  for (i = start; i < end; i++) {
    count = spell_at(level->counts, i);
    y[spell_at(level->tokens, i)] += ((double)count - level->discounts[count < 3 ? count : 3]) / total;
  }
}

static int spell_longer(const spell_level *level, size_t *context, size_t column)
{
  size_t low = spell_at(level->first, *context), end = spell_at(level->first, *context + 1), high = end, middle;
  while (low < high) {
    middle = low + (high - low) / 2;
    if (spell_at(level->columns, middle) < column) low = middle + 1;
    else high = middle;
  }
  if (low == end || spell_at(level->columns, low) != column) return 0;
  *context = low;
  return 1;
}

static size_t spell_column(const spell_table *table, const spell_state *state, int column)
{
  size_t found = spell_past(state, column < 17 ? column : column - 16);
  if (column == 0) return found < SPELL_VOCABULARY ? found : SPELL_VOCABULARY - 1;
  return column < 17 ? found : spell_at(table->classes, found);
}

static void spell_counts(const spell_table *table, const spell_state *state, double *y)
{
  size_t i, depth, context = 0, column = 1;
  for (i = 0; i < SPELL_VOCABULARY; i++) y[i] = 1.0 / SPELL_VOCABULARY;
  if (table->interpolated || table->levels == 1) spell_mix(&table->level[0], 0, y);
  for (depth = 1; depth < table->levels; depth++) {
    if (column) column = spell_column(table, state, table->columns[depth - 1]);
    if (!spell_longer(&table->level[depth], &context, column)) break;
    if (table->interpolated) {
      spell_mix(&table->level[depth], context, y);
    } else if (column == 0 || depth + 1 == table->levels) { /* only the longest that the line is long enough for */
      spell_mix(&table->level[depth], context, y);
      break;
    }
  }
  for (i = 0; i < SPELL_VOCABULARY; i++) y[i] = log(y[i]);
}

typedef struct {
  spell_whole classes, following;
  spell_matrix factors;
} spell_shaped;

static size_t spell_after(const spell_shaped *shape, size_t before, size_t token)
{
  if (token == 0) return 0;
  return spell_at(shape->following, before * shape->factors.columns + spell_at(shape->classes, token));
}

static void spell_shape(const spell_shaped *shape, size_t after, double *y)
{
  size_t i;
  for (i = 0; i < SPELL_VOCABULARY; i++) y[i] = spell_weight(&shape->factors, after, spell_at(shape->classes, i));
}

/* A sum waits for every addition, so four rows are added up side by side, each from its first to its last number. */
static void spell_linear(const spell_matrix *of, const spell_matrix *bias, const double *x, double *y)
{
  size_t row, i, k, n = of->columns;
  for (row = 0; row < of->rows; row += 4) {
    double sum[4] = {0.0, 0.0, 0.0, 0.0}, scale[4] = {1.0, 1.0, 1.0, 1.0};
    size_t start[4];
    for (k = 0; k < 4; k++) {
      start[k] = (row + k < of->rows ? row + k : row) * n;
      if (of->scales) scale[k] = (double)of->scales[start[k] / n];
    }
    if (of->bytes == 1) {
      const int8_t *w = (const int8_t *)of->numbers;
      const int8_t *a = w + start[0], *b = w + start[1], *c = w + start[2], *d = w + start[3];
      for (i = 0; i < n; i++) {
        sum[0] += (double)a[i] * scale[0] * x[i];
        sum[1] += (double)b[i] * scale[1] * x[i];
        sum[2] += (double)c[i] * scale[2] * x[i];
        sum[3] += (double)d[i] * scale[3] * x[i];
      }
    } else if (of->bytes == 4) {
      const float *w = (const float *)of->numbers;
      const float *a = w + start[0], *b = w + start[1], *c = w + start[2], *d = w + start[3];
      for (i = 0; i < n; i++) {
        sum[0] += (double)a[i] * x[i];
        sum[1] += (double)b[i] * x[i];
        sum[2] += (double)c[i] * x[i];
        sum[3] += (double)d[i] * x[i];
      }
    } else {
      for (k = 0; k < 4; k++)
        for (i = 0; i < n; i++) sum[k] += spell_weight(of, start[k] / n, i) * x[i];
    }
    for (k = 0; k < 4 && row + k < of->rows; k++) y[row + k] = bias ? sum[k] + spell_weight(bias, 0, row + k) : sum[k];
  }
}

static void spell_norm(const spell_matrix *gain, const spell_matrix *bias, double e, size_t n, const double *x,
                       double *y)
{
  size_t i;
  double mean = 0.0, variance = 0.0, deviation;
  for (i = 0; i < n; i++) mean += x[i];
  mean /= (double)n;
  for (i = 0; i < n; i++) variance += (x[i] - mean) * (x[i] - mean);
  deviation = sqrt(variance / (double)n + e);
  for (i = 0; i < n; i++) y[i] = (x[i] - mean) / deviation * spell_weight(gain, 0, i) + spell_weight(bias, 0, i);
}

static void spell_attend(size_t place, size_t heads, size_t n, const double *query, const double *key,
                         const double *value, double *keys, double *values, double *scores, double *y)
{
  size_t head, t, i, part = n / heads;
  memcpy(keys + place * n, key, n * sizeof *key);
  memcpy(values + place * n, value, n * sizeof *value);
  for (head = 0; head < n; head += part) {
    double most = -HUGE_VAL, total = 0.0;
    for (t = 0; t <= place; t++) {
      double sum = 0.0;
      for (i = head; i < head + part; i++) sum += query[i] * keys[t * n + i];
      scores[t] = sum / sqrt((double)part);
      if (scores[t] > most) most = scores[t];
    }
    for (t = 0; t <= place; t++) total += scores[t] = exp(scores[t] - most);
    for (i = head; i < head + part; i++) {
      double sum = 0.0;
      for (t = 0; t <= place; t++) sum += scores[t] / total * values[t * n + i];
      y[i] = sum;
    }
  }
}

static void spell_average(size_t place, size_t n, const double *x, double *total, double *y)
{
  size_t i;
  for (i = 0; i < n; i++) {
    total[i] += x[i];
    y[i] = total[i] / (double)(place + 1);
  }
}

static void spell_copy(size_t n, const double *x, double *y)
{
  memcpy(y, x, n * sizeof *x);
}

static void spell_add(size_t n, const double *a, size_t each_a, const double *b, size_t each_b, double *y)
{
  size_t i;
  for (i = 0; i < n; i++) y[i] = a[i * each_a] + b[i * each_b];
}

static void spell_multiply(size_t n, const double *a, size_t each_a, const double *b, size_t each_b, double *y)
{
  size_t i;
  for (i = 0; i < n; i++) y[i] = a[i * each_a] * b[i * each_b];
}

static void spell_affine(const spell_matrix *factor, const spell_matrix *addend, size_t n, const double *x, double *y)
{
  size_t i;
  for (i = 0; i < n; i++) y[i] = x[i] * spell_weight(factor, 0, i) + spell_weight(addend, 0, i);
}

static void spell_scale(double by, size_t n, const double *x, double *y)
{
  size_t i;
  for (i = 0; i < n; i++) y[i] = x[i] * by;
}

static void spell_complement(size_t n, const double *x, double *y)
{
  size_t i;
  for (i = 0; i < n; i++) y[i] = 1.0 - x[i];
}

static void spell_tanh(size_t n, const double *x, double *y)
{
  size_t i;
  for (i = 0; i < n; i++) y[i] = tanh(x[i]);
}

static void spell_sigmoid(size_t n, const double *x, double *y)
{
  size_t i;
  for (i = 0; i < n; i++) y[i] = (1.0 + tanh(x[i] / 2.0)) / 2.0;
}

static void spell_relu(size_t n, const double *x, double *y)
{
  size_t i;
  for (i = 0; i < n; i++) y[i] = x[i] > 0.0 ? x[i] : 0.0;
}

static void spell_gelu(size_t n, const double *x, double *y)
{
  size_t i;
  for (i = 0; i < n; i++) y[i] = x[i] * (1.0 + erf(x[i] / sqrt(2.0))) / 2.0;
}

static void spell_exp(size_t n, const double *x, double *y)
{
  size_t i;
  for (i = 0; i < n; i++) y[i] = exp(x[i]);
}

static void spell_log(size_t n, const double *x, double *y)
{
  size_t i;
  for (i = 0; i < n; i++) y[i] = log(x[i]);
}

static void spell_log_softmax(size_t n, const double *x, double *y)
{
  size_t i;
  double most = -HUGE_VAL, total = 0.0;
  for (i = 0; i < n; i++) most = x[i] > most ? x[i] : most;
  for (i = 0; i < n; i++) total += exp(x[i] - most);
  for (i = 0; i < n; i++) y[i] = x[i] - most - log(total);
}

/* One more token in the past; 0 forgets all of it. */
static void spell_go_on(spell_state *state, size_t token)
{
  size_t i;
  state->place = token ? state->place + 1 : 0;
  for (i = 11; i > 0; i--) state->recent[i] = token ? state->recent[i - 1] : 0;
  state->recent[0] = token;
  for (i = 0; i < 2; i++)
    if (token == 0 || state->place == i + 1) state->first[i] = token;
}
