"""All benchmarks, one after the other: python -m benchmarks."""

from __future__ import annotations

from benchmarks import loading, numbers, sending

if __name__ == "__main__":
    for benchmark in (numbers, sending, loading):
        print(f"\n{(benchmark.__doc__ or '').strip().splitlines()[0]}\n")
        benchmark.main()
