"""All benchmarks, one after the other: python -m benchmarks."""

from __future__ import annotations

from benchmarks import dag_authors, history, loading, numbers, page, parsing, sending

if __name__ == "__main__":
    for benchmark in (numbers, parsing, sending, dag_authors, loading, history, page):
        print(f"\n{(benchmark.__doc__ or '').strip().splitlines()[0]}\n")
        benchmark.main()
