"""Every mistake planted into every language model of this package that PyTorch trains: how many are named.

PYTHONPATH=tests python bench/doctor_language_models.py [NETWORK ...]

The tests plant every mistake once. Exit code 1 if one is not named, if more is found than what follows from it, or
if a network as it is gets a finding.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from machine import machine
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.doctor import examine


def main() -> None:
    """Print what went wrong, and one JSON object."""
    from doctor.planted import FAULTS, TINY, also, case_of_run, save_fresh

    few = Prepared.of(Lines.of(Lines.bundled().distinct[:200]), DataConfig())
    counts: dict[str, Any] = dict.fromkeys(("planted", "named", "named alone", "healthy", "accused"), 0)
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        for name in sys.argv[1:] or TINY:
            save_fresh(few, TINY[name], Path(place) / name)
            for fault, plant in (("", None), *FAULTS.items()):
                case = replace(case_of_run(Path(place) / name), overfit_seconds=0)
                report = examine(case if plant is None else plant(case))
                found = {one.id for one in report.findings if one.severity != "note"}
                counts["planted" if fault else "healthy"] += 1
                counts["named"] += bool(fault) and fault in found
                counts["named alone"] += bool(fault) and found - also(name, fault) == {fault}
                counts["accused"] += not fault and bool(found)
                if found - also(name, fault) != ({fault} if fault else set()):
                    print(f"{name}: {fault or 'as it is'}; found {sorted(found)}", flush=True)
    counts["seconds"] = round(time.process_time() - begin, 1)
    print(json.dumps({**counts, **machine()}))
    sys.exit(counts["named alone"] < counts["planted"] or counts["accused"] > 0)


if __name__ == "__main__":
    main()
