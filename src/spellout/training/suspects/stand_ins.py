"""Words that stand for a line which is not there, and words that head a list instead of being one of its lines.

Only words that lists of any kind hold by mistake; a list in which many lines are such words is a list of them.
"""

from __future__ import annotations

_PLACEHOLDERS = """
    n/a na n.a n.a. #n/a nan null nil none no unknown unbekannt inconnu desconocido undefined empty blank void
    missing invalid error #ref! #value! #name? test testing tests asdf asdfg asdfgh asdfasdf qwerty qwertz foo
    bar baz foobar dummy sample example demo placeholder default lorem todo fixme tbd tba tbc xx xxx xxxx
    xxxxx yyy zzz abc abcd aaa aaaa 123 1234 12345 0 00 000 -1 - -- --- ---- . .. ... … ? ?? ??? _ * ** ***
"""
_HEADERS = """
    name names first_name last_name firstname lastname fullname surname forename given_name title titles id
    ids key keys value values text texts label labels word words line lines item items entry type category
    class date time datetime timestamp year month day city town country state street address email phone
    company companies brand product products code codes number numbers no nr count description comment
    comments note notes status url link smiles molecule sequence password passwords user username login plate
    plates identifier uuid iban nom nome nombre naam nazwa imię имя название नाम 名前 名称 姓名
"""

PLACEHOLDERS = {*_PLACEHOLDERS.split(), "not available", "not applicable", "not known", "to do", "no data"}
"""In small letters, as the next."""
HEADERS = {*_HEADERS.split(), "first name", "last name", "full name", "given name", "family name", "date of birth"}


def stand_in(line: str, first: bool) -> str:
    """Say what a line stands for if it is such a word, or nothing. A header is one in the first line only."""
    word = line.casefold().strip("\"'`<>[](){}:;, ").strip() or line
    if first and (word in HEADERS or _columns(word)):
        return "reads like a header"
    return "reads like a placeholder" if word in PLACEHOLDERS else ""


def _columns(line: str) -> bool:
    """Tell whether a line names several columns."""
    for separator in (",", ";", "\t", "|"):
        cells = [cell.strip("\"' ") for cell in line.split(separator)]
        if len(cells) > 1 and sum(cell in HEADERS for cell in cells) > len(cells) / 2:
            return True
    return False
