/* Bits that all training lines set (Bloom 1970), found by FNV-1a of 64 bits (Fowler, Noll & Vo). */
int spell_known(const char *line)
{
  uint64_t hash = UINT64_C(0xcbf29ce484222325), place, i;
  if (spell_hashes == 0) return -1;
  for (; *line; line++) hash = (hash ^ (unsigned char)*line) * UINT64_C(0x100000001b3);
  for (i = 0; i < spell_hashes; i++) {
    place = ((hash & 0xffffffffu) + i * (hash >> 32 | 1)) % spell_size;
    if (!(spell_bits[place >> 3] >> (place & 7) & 1)) return 0;
  }
  return 1;
}
