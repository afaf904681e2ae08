/* The training lines, in the order of their bytes. */
int spell_known(const char *line)
{
  size_t low = 0, high = spell_lines, middle;
  int order;
  while (low < high) {
    middle = low + (high - low) / 2;
    order = strcmp((const char *)spell_bytes + spell_at(spell_starts, middle), line);
    if (order == 0) return 1;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return 0;
}
