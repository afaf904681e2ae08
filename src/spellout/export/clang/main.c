#ifdef SPELL_MAIN

#include <stdio.h>

static int spell_usage(const char *wrong)
{
  fprintf(stderr, "%s; flags: -n LINES -s SEED -p PREFIX -l LABEL -t TEMPERATURE -k TOP_K -q TOP_P -m MAX_LENGTH, "
                  "and -a for known lines, too\n", wrong);
  return 2;
}

static int spell_number(const char *text, double least, double most, double *number)
{
  char *end;
  *number = strtod(text, &end);
  return end != text && *end == 0 && *number >= least && *number <= most;
}

static int spell_seed(const char *text, uint64_t *seed)
{
  for (*seed = 0; *text >= '0' && *text <= '9'; text++) {
    uint64_t digit = (uint64_t)(*text - '0');
    if (*seed > (UINT64_MAX - digit) / 10) return 0;
    *seed = *seed * 10 + digit;
  }
  return *text == 0;
}

int main(int count, char **given)
{
  static spell_state state;
  static char line[SPELL_CAPACITY];
  spell_options options = {0, NULL, NULL, 1.0, 0, 0.0, 0};
  double lines = 10.0, k = 0.0, most = SPELL_MAX_LENGTH;
  int i, length, every = 0, sound = 1, refused = 0;
  uint64_t candidate = 0;
  for (i = 1; i < count && sound; i++) {
    const char *flag = given[i], *value = i + 1 < count ? given[i + 1] : "";
    if (strcmp(flag, "-a") == 0) {
      every = 1;
      continue;
    }
    if (strlen(flag) != 2 || flag[0] != '-' || i + 1 >= count) return spell_usage("there is no such flag, or its value is missing");
    i++;
    switch (flag[1]) {
    case 'n': sound = spell_number(value, 0.0, 1e15, &lines); break;
    case 's': sound = *value && spell_seed(value, &options.seed); break;
    case 'p': options.prefix = value; break;
    case 'l': options.label = value; break;
    case 't': sound = spell_number(value, DBL_MIN, DBL_MAX, &options.temperature); break;
    case 'k': sound = spell_number(value, 1.0, 2147483647.0, &k); break;
    case 'q': sound = spell_number(value, DBL_MIN, 1.0, &options.top_p); break;
    case 'm': sound = spell_number(value, 1.0, SPELL_MAX_LENGTH, &most); break;
    default: return spell_usage("there is no such flag");
    }
  }
  if (!sound) return spell_usage("a number is out of its range");
  options.top_k = (int)k;
  options.max_length = (int)most;
  while (lines >= 1.0 && refused < 10000) {
    length = every ? spell_line(&state, &options, candidate++, line, sizeof line)
                   : spell_new_line(&state, &options, &candidate, line, sizeof line);
    if (length < 0) return spell_usage("the model knows no such beginning or label");
    if (length == 0 && !every) break;
    refused = length ? 0 : refused + 1;
    if (length == 0) continue;
    lines -= 1.0;
    if (puts(line) < 0) return 1;
  }
  if (lines >= 1.0) fprintf(stderr, "10,000 candidates in a row were no new lines\n");
  return lines >= 1.0 ? 1 : 0;
}

#endif
