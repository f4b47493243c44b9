"""How fast the knowledge base loads, looks up and segments: `python benchmarks/knowledge.py`.

Processor time of this machine, the best of several; load times in a fresh process each, with the imports they need.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

SENTENCE = "患者脾气虚证，舌淡苔白，脉缓弱，神疲乏力，纳呆便溏，治以健脾益气，方用四君子汤加减：党参15g、炒白术10g、茯苓15g、炙甘草6g。"


def fresh(code: str) -> float:
    """Return the processor seconds that code takes in a new interpreter, imports of the package included, the best of five."""
    script = f"import time; t = time.process_time(); {code}; print(time.process_time() - t)"
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True) for _ in range(5)
    ]
    return min(float(run.stdout) for run in runs)


def best(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the least of several times in processor seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    """Print the figures of docs/knowledge.md."""
    print(
        f"import and first look-up of a herb   {fresh('from harness.knowledge.names import herb; herb(chr(40644) + chr(33514))') * 1000:7.1f} ms"
    )
    print(
        f"import and all terms                 {fresh('from harness.knowledge.lexicon import terms; terms()') * 1000:7.1f} ms"
    )
    from harness.extract.herbs import prescription
    from harness.extract.slots import slots
    from harness.knowledge import herb, segment, surface_forms, terms

    text = SENTENCE * (1_000_000 // len(SENTENCE.encode()) + 1)
    megabytes = len(text.encode()) / 1e6
    terms()
    print(f"terms {len(terms())}, surface forms {len(surface_forms())}")
    names = [f"炙黄芪{i}g" for i in range(20_000)]
    print(f"look-ups of new names                {20_000 / best(lambda: [herb(n) for n in names], 1):10.0f} a second")
    traditional = "患者脾氣虛證，舌淡苔白，黃芪三十克。" * (1_000_000 // 51)
    for name, work, size in (
        ("segmentation", lambda: segment(text), megabytes),
        ("segmentation, traditional", lambda: segment(traditional), len(traditional.encode()) / 1e6),
        ("prescription in free text", lambda: prescription(text), megabytes),
        ("slots in free text", lambda: slots(text), megabytes),
    ):
        print(f"{name:36} {size / best(work, 3):7.2f} MB/s")


if __name__ == "__main__":
    main()
