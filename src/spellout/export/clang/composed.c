/* Where a code stands in an ascending list: the first place that is not below it. */
static size_t spell_place_of(uint32_t code, spell_whole codes, size_t count)
{
  size_t low = 0, high = count, middle;
  while (low < high) {
    middle = low + (high - low) / 2;
    if (spell_at(codes, middle) < code) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* The class of a character that combines with others, 0 of all others; 255 of one that composed texts do not have. */
static size_t spell_class(uint32_t code)
{
  size_t place = spell_place_of(code, spell_marks, spell_mark_count);
  return place < spell_mark_count && spell_at(spell_marks, place) == code ? spell_at(spell_mark_classes, place) : 0;
}

static int spell_composes(uint32_t first, uint32_t second)
{
  size_t place = spell_place_of(first, spell_pair_firsts, spell_pair_count);
  for (; place < spell_pair_count && spell_at(spell_pair_firsts, place) == first; place++)
    if (spell_at(spell_pair_seconds, place) == second) return 1;
  return 0;
}

/* Whether a text is in Unicode's composed form (Unicode Standard Annex 15), of the characters that there can be. */
static int spell_is_composed(const char *text)
{
  uint32_t code, starter = 0xffffffffu;
  size_t bytes, class_of, before = 0;
  int beside = 0; /* whether nothing stands between the starter and this one */
  if (spell_mark_count == 0 && spell_pair_count == 0) return 1;
  for (; *text; text += bytes) {
    code = spell_character(text, &bytes);
    class_of = spell_class(code);
    if (class_of == 255 || (class_of && before > class_of)) return 0;
    if ((beside || (before && before < class_of)) && spell_composes(starter, code)) return 0;
    beside = class_of == 0;
    if (beside) starter = code;
    before = class_of;
  }
  return 1;
}
