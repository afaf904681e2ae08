"""Between lines of text and token ids: what a token is, a file for each kind.

protocol     what every vocabulary does
characters   characters, and UTF-8 bytes
pieces       parts of lines, cut by a rule: one of the next three
words        white-space separated words
graphemes    what a reader takes for one character
patterns     what a regular expression matches, found by an automaton of `expressions`
building     the vocabulary of some lines
stored       the vocabulary of a run folder
"""
