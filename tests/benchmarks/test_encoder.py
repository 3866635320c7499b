import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "encoder.py"


def test_the_benchmark_times_the_three_forms():
    command = [sys.executable, str(SCRIPT), "--variant", "repvit_m0_9", "--canvas", "128", "--rounds", "1"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = result.stdout.splitlines()
    assert "canvas 128" in lines[0]
    assert [line.split()[-1] for line in lines[1:2]] == ["1.00"]
    assert len(lines) == 4
