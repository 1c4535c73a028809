"""What importing operators, sensors and the timetable adds to the parsing of a Dag file.

Usage: python -m benchmarks.parsing

Airflow parses each Dag file in a process of its own, again and again. Each run is a fresh interpreter that
first imports what any provider must import and then ours. CPU time, because the machine may be busy; at most
30 ms are asked for.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

RUNS = 9
ASKED_FOR = 30.0
PROGRAM = """
import time
import airflow.sdk
from airflow.sdk import DAG, BaseHook, BaseOperator, BaseSensorOperator
import airflow.timetables.base
import airflow.providers.common.compat.sdk as compat
compat.AirflowFailException, compat.PokeReturnValue, compat.conf
begun = time.process_time()
import {modules}
print((time.process_time() - begun) * 1000)
"""
OURS = (
    "airflow_provider_caixin.operators.caixin",
    "airflow_provider_caixin.sensors.caixin",
    "airflow_provider_caixin.timetables.caixin",
)


def milliseconds(*modules: str) -> list[float]:
    """Measure an import in fresh interpreters.

    :param modules: what is imported.
    """
    program = PROGRAM.format(modules=", ".join(modules))
    # The first writes the bytecode.
    outputs = [
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
        for _ in range(RUNS + 1)
    ]
    return [float(output.splitlines()[-1]) for output in outputs[1:]]


def main() -> int:
    """Print a row for each way to import.

    :return: exit status: 1 where it takes longer than asked for.
    """
    rows = {
        "operators, sensors and the timetable": milliseconds(*OURS),
        "the operator alone": milliseconds(OURS[0]),
        "the sensors alone": milliseconds(OURS[1]),
        "the timetable alone": milliseconds(OURS[2]),
    }
    print("| imported | median | least | most |\n| --- | --- | --- | --- |")
    for name, times in rows.items():
        print(f"| {name} | {statistics.median(times):.1f} ms | {min(times):.1f} ms | {max(times):.1f} ms |")
    return int(statistics.median(next(iter(rows.values()))) > ASKED_FOR)


if __name__ == "__main__":
    sys.exit(main())
