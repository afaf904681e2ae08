/* «ABOUT»

In one file of a program:       #define SPELL_IMPLEMENTATION
                                #include "«FILE»"
and in others only the latter.  C99 and its mathematics (-lm) are all it needs; nothing is allocated, no file is read,
and no variable changes but those that you give, so any number of threads may work, each with a state of its own.

    static spell_state state;                       (it may be too large for a stack: sizeof says how large)
    spell_options options = {0};
    char line[SPELL_CAPACITY];
    uint64_t candidate = 0;
    options.seed = 1;
    while (spell_new_line(&state, &options, &candidate, line, sizeof line) > 0) puts(line);

As a program of its own:        cc -O2 -DSPELL_MAIN -x c «FILE» -lm -o spell && ./spell -n 10 -s 1 -p Jo

The same seed gives the lines that the package gives with the same stored weights. Texts are UTF-8, and nothing is
normalised: give beginnings in Unicode's composed form (NFC), as the lines were learned. */

#ifndef SPELL_H
#define SPELL_H

#include <stddef.h>
#include <stdint.h>

#ifdef SPELL_MAIN
#define SPELL_IMPLEMENTATION
#endif

#define SPELL_VOCABULARY «VOCABULARY» /* tokens; 0 is the boundary, which begins and ends a line */
#define SPELL_LABELS «LABELS» /* names of labels; they are the last of the tokens, and stand before a line only */
#define SPELL_MAX_LENGTH «MAX_LENGTH» /* the most tokens of a line that is made, without its label */
#define SPELL_CAPACITY «CAPACITY» /* bytes that hold any line, its label and the final 0 */

/* What lines are asked for; 0 everywhere is as usual. */
typedef struct {
  uint64_t seed;
  const char *prefix; /* every line begins with it */
  const char *label;  /* lines with this label only; if not given, one is drawn for every line */
  double temperature; /* below 1 plays safe, above 1 takes risks; 0 is 1 */
  int top_k;          /* choose among the k likeliest tokens only; 0 is all */
  double top_p;       /* choose among the likeliest that together have probability p; 0 is all */
  int max_length;     /* the most tokens, at most SPELL_MAX_LENGTH; 0 is SPELL_MAX_LENGTH */
} spell_options;

typedef struct {
  double weight;
  size_t token;
} spell_ranked;

/* All memory that is needed. It need not be cleared: a boundary clears it. */
typedef struct {
  size_t recent[12], first[2], place;
«STATE»  double weights[SPELL_VOCABULARY];
  spell_ranked ranked[SPELL_VOCABULARY];
  int made[SPELL_MAX_LENGTH], again[SPELL_MAX_LENGTH];
} spell_state;

/* Read one more token of a line, 0 first (then the label's, if there are labels), and give the natural logarithms of
   the probabilities of every next one, of SPELL_VOCABULARY. 0 if there is no such token«LIMIT», else 1. */
int spell_next(spell_state *state, int token, double *log_probabilities);

/* Candidate number so-and-so as text with a final 0, after its label and a tab if there are labels; gives its bytes.
   0 if the candidate is no line: not readable, or longer than asked for. -1 if the options cannot be (a character or
   a word is unknown, a number out of its range), or the line does not fit. */
int spell_line(spell_state *state, const spell_options *options, uint64_t candidate, char *line, size_t capacity);

/* The next candidate from *candidate on that is a line and none of those learned from; *candidate is then the one
   after it. 0 if 10,000 in a row were none; -1 as above. */
int spell_new_line(spell_state *state, const spell_options *options, uint64_t *candidate, char *line, size_t capacity);

/* 1 if a line (label, tab and text, if there are labels) was learned from, 0 if not, -1 if that is not known.
   «KNOWN» */
int spell_known(const char *line);

/* The tokens of a text: how many, of which the first `room` are written; -1 if something of it is unknown. */
int spell_tokens(const char *text, int *tokens, size_t room);

/* What a token writes, "" if nothing; and the name of a label. 0 if there is no such. */
const char *spell_text(int token);
const char *spell_label(int label);

#endif

#if defined(SPELL_IMPLEMENTATION) && !defined(SPELL_IMPLEMENTED)
#define SPELL_IMPLEMENTED

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

