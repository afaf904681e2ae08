"""Signs for characters that do not show, compared with what Unicode's own tables say of every character."""

import json
import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from spellout.app.visible import visible, visible_in_json

WITH_A_GLYPH = [*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13440)]
"""Format characters (Cf) that show: signs written before a number, and Egyptian joins."""
FILLERS = [0x115F, 0x1160, 0x3164, 0xFFA0]
"""Letters without a shape, of the Korean alphabet."""
JOINERS = "\u200c\u200d"


def commands(character):
    """Whether Unicode's category says that a character controls, formats, or ends a line, and has no glyph."""
    hidden = unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return hidden and ord(character) not in WITH_A_GLYPH


def test_every_character_that_does_not_show_has_a_sign_and_no_other():
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        sign = visible(character)
        if commands(character):
            assert sign != character, hex(code)
            assert not any(map(commands, sign)), hex(code)
        elif code not in FILLERS and unicodedata.category(character)[0] in "LNPSZ":
            assert sign == character, hex(code)


def test_the_signs():
    assert visible("\x1b]0;x\x07\x9b2J\x7f\n\u202eab\u200b") == "␛]0;x␇<009B>2J␡␊<202E>ab<200B>"
    assert visible("a\n\x1bb", lines=True) == "a\n␛b"
    assert visible("\udcff") == "<DCFF>"
    assert visible("Zoë さくら 👍🏽 ❤️ [red]\\x1b") == "Zoë さくら 👍🏽 ❤️ [red]\\x1b"


def test_joiners_stay_where_they_join():
    persian, coder = "می\u200cخواهم", "👩\u200d💻"
    assert visible(persian) == persian
    assert visible(coder) == coder
    for joiner in JOINERS:
        for text in (f"an{joiner}na", joiner, f"é{joiner}", f"é{joiner}a", f"é{joiner}{joiner}é"):
            assert joiner not in visible(text)


@given(st.text(st.characters(codec=None, exclude_categories=[])))
def test_json_means_the_same_and_holds_no_command(text):
    written = visible_in_json(json.dumps({"line": text}, ensure_ascii=False))
    assert json.loads(written) == {"line": text}
    assert not any(commands(character) for character in written if character not in JOINERS)
    written.encode()
