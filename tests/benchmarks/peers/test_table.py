"""benchmarks/peers/table.py: the section of docs/performance.md says what it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers import names, table


def line(system: str, measure: str, *values: float, load: float = 0.5, **settings: Any) -> table.Line:
    facts = {"version": "1.2.3", "python": "3.11.7", "keeps": f"what {system} keeps", "is_durable": True, **settings}
    return {
        "program": names.PROGRAM, "system": system, "measure": measure, "unit": "jobs/s", "values": list(values),
        "median": sorted(values)[len(values) // 2], "at": "2026-11-30T10:00Z",
        "settings": {"repeats": 3, "calls": 2_000, "runs": 20_000, **facts},
        "machine": {"cores": 2, "processor": "some processor", "load": load}, "versions": {"python": "3.11.7"},
    }  # fmt: skip


def quiet(load: float = 0.5, longest: float = 101.0) -> list[table.Line]:
    return [
        line(table.OURS, names.PROCESSOR, 100.0, 100.0, longest, load=load),
        line(table.OURS, names.SYNC, 0.3, 0.3, 0.4, load=load),
    ]


def written(*lines: table.Line) -> str:
    return "\n".join(table.section(lines))


def test_each_library_has_a_row_with_its_version_and_its_figures() -> None:
    page = written(
        *quiet(),
        line(table.OURS, names.ONE, 1_000, 3_000, 2_000),
        line("peer", names.ONE, 1_500),
        line("other", names.LATENCY.format(rate=50, share="p50"), 3.25, version="0.7.0", python="3.12.1"),
    )

    assert table.TITLE in page
    assert f"| {table.OURS} (1.2.3) | 2,000 |  |" in page
    assert "| peer (1.2.3) | 1,500 |  |" in page
    assert "| other (0.7.0, Python 3.12.1) |  |  |  | 3.25 |" in page
    assert "- peer: what peer keeps." in page


def test_ours_is_compared_with_the_best_that_is_as_durable() -> None:
    page = written(
        *quiet(),
        line(table.OURS, names.ONE, 2_000), line("slow", names.ONE, 500), line("good", names.ONE, 1_600),
        line("not durable", names.ONE, 9_000, is_durable=False), line("jobledger, SQLite", names.ONE, 5_000),
        line(table.OURS, names.ONE_CPU, 0.5), line("slow", names.ONE_CPU, 0.2), line("good", names.ONE_CPU, 0.25),
    )  # fmt: skip

    assert "| enqueue one, jobs/s | 2,000 | good 1,600 | 1.25 × |" in page
    assert "| client CPU of enqueue one, jobs/s | 0.5 | slow 0.2 | 2.50 × |" in page


def test_the_table_names_the_day_the_machine_and_its_load() -> None:
    page = written(*quiet(), line("peer", names.ONE, 1_500))

    assert "Measured 2026-11-30T10:00Z on 2 cores (some processor), Python 3.11.7: medians of 3 rounds" in page
    assert "2,000 calls one by one and 20,000 jobs a drain" in page
    assert "a fixed loop took 100 to 101 (median 100) ms" in page
    assert "Other programs" not in page


def test_a_loaded_or_uneven_machine_is_named_beside_the_figures() -> None:
    assert "**Other programs used the machine**" in written(*quiet(load=3.1))
    assert "**Other programs used the machine**" in written(*quiet(longest=116.0))


def test_a_library_that_could_not_be_measured_is_listed_with_the_reason() -> None:
    page = written(*quiet(), {"program": names.PROGRAM, "system": "peer", "missing": "it needs Python 3.12 or later"})

    assert "- peer: it needs Python 3.12 or later" in page


def test_without_results_there_is_no_section(tmp_path: Path) -> None:
    assert written(*table.read(tmp_path / "missing.jsonl")) == ""
