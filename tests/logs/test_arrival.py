"""The order of two streams, as far as it can be known."""

from __future__ import annotations

from pathlib import Path

from supervisor_lite.logs.arrival import MAX_NOTED, Arrival
from supervisor_lite.logs.logfile import LogFile


def two_logs(path: Path) -> tuple[LogFile, LogFile]:
    made = []
    for name in ("out", "err"):
        (path / name).write_bytes(b"old\n")
        log = LogFile(str(path / name), 0, 0, lambda text: None)
        log.open()
        made.append(log)
    return made[0], made[1]


def ordered(arrival: Arrival, logs: tuple[LogFile, LogFile], starts: list[int]) -> list[str]:
    text = []
    for stretch in arrival.in_order(starts, [log.end for log in logs]):
        log = logs[stretch.stream]
        data = Path(log.path).read_bytes()[stretch.start - log.origin : stretch.end - log.origin]
        text += [f"{'oe'[stretch.stream]}:{line}" for line in data.decode().splitlines()]
    return text


def test_lines_come_as_they_came(tmp_path: Path) -> None:
    arrival, logs = Arrival(), two_logs(tmp_path)
    arrival.watch(*logs)
    out, err = logs
    for log, line in ((out, b"1\n"), (err, b"2\n"), (err, b"3\n"), (out, b"4\n")):
        log.append(line)
    assert ordered(arrival, logs, [-4, -4]) == ["o:old", "e:old", "o:1", "e:2", "e:3", "o:4"]
    assert ordered(arrival, logs, [2, 2]) == ["e:3", "o:4"]
    arrival.watch(*logs)  # the next run: nothing is forgotten
    out.append(b"5\n")
    assert ordered(arrival, logs, [2, 4])[-2:] == ["o:4", "o:5"]
    for log in logs:
        log.close()


def test_what_is_noted_is_bounded(tmp_path: Path) -> None:
    arrival, logs = Arrival(), two_logs(tmp_path)
    arrival.watch(*logs)
    for number in range(MAX_NOTED):
        logs[0].append(b"o%d\n" % number)
        logs[1].append(b"e%d\n" % number)
    text = ordered(arrival, logs, [-4, -4])
    half = MAX_NOTED // 2
    assert text[: half + 1] == ["o:old", *(f"o:o{n}" for n in range(half))]
    assert text[-2:] == [f"o:o{MAX_NOTED - 1}", f"e:e{MAX_NOTED - 1}"]
    assert len(text) == 2 * MAX_NOTED + 2
    for log in logs:
        log.close()


def test_a_single_log_has_no_order(tmp_path: Path) -> None:
    arrival, (out, err) = Arrival(), two_logs(tmp_path)
    arrival.watch(out, err)
    arrival.watch(out, None)
    out.append(b"1\n")
    assert not out._listeners
    for log in (out, err):
        log.close()
