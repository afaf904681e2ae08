"""The application that commands register with."""

from __future__ import annotations

from cyclopts import App

from ...version import __version__

app = App(
    name="spellout",
    help="Make more of a list of lines; see every gradient of a formula spelled out; mend a PyTorch training.",
    version=__version__,
    version_flags=["--version"],
    help_flags=["--help", "-h"],
    help_format="plaintext",  # markdown would cost 50 ms at every --help
    suppress_keyboard_interrupt=False,  # `run_command` says that it was interrupted
)
