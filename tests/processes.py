"""The command `spellout` in a process of its own: behind a shell's redirections, and on a terminal."""

import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios

COMMAND = [sys.executable, "-m", "spellout"]
SETTINGS = ("PYTHON", "LC_", "LANG", "COLUMNS", "LINES", "NO_COLOR", "TERM")
STYLE = re.compile(r"\x1b\[[0-9;]*m")
CURSOR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def environment(**settings):
    """What this process was given, without what decides about streams and terminals, and with `settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    return {**kept, "TERM": "xterm-256color", **settings}


def in_shell(arguments, redirections="", stdin=b"", **settings):
    """Run a command line behind redirections; gives exit code, stdout and stderr as bytes."""
    line = f"exec {shlex.join([*COMMAND, *map(str, arguments)])} {redirections}"
    done = subprocess.run(["sh", "-c", line], input=stdin, capture_output=True, env=environment(**settings))
    return done.returncode, done.stdout, done.stderr


def on_terminal(command, width, **settings):
    """Run a program on a terminal of so many columns; gives the exit code and what the terminal was sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    process = subprocess.Popen(
        [str(word) for word in command], stdin=theirs, stdout=theirs, stderr=theirs, env=environment(**settings)
    )
    os.close(theirs)
    sent = b""
    while True:
        try:
            read = os.read(ours, 65536)
        except OSError:  # what Linux says when the other side has gone
            break
        if not read:
            break
        sent += read
    os.close(ours)
    return process.wait(), sent.decode()
