from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from supervisor_lite.errors import OperationFailed, SpawnError
from supervisor_lite.logs.follow import Follower
from tests.logs.tools import Bench, output
from tests.loops import rounds


async def test_streams_go_to_their_own_files(tmp_path: Path) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    bench = Bench(tmp_path, output(out), output(err)).open()
    stdout, stderr, joined = bench.logs.child_paths()
    assert stdout == f"{tmp_path}/fifo/web:web.stdout"
    assert stderr == f"{tmp_path}/fifo/web:web.stderr"
    assert not joined
    bench.say(b"to out\n")
    bench.say(b"to err\n", "stderr")
    assert (out.read_bytes(), err.read_bytes()) == (b"to out\n", b"to err\n")
    bench.logs.close()


async def test_nothing_is_captured_of_a_stream_that_goes_nowhere(tmp_path: Path) -> None:
    bench = Bench(tmp_path, output(None), output(None)).open()
    assert bench.logs.child_paths() == (None, None, False)
    assert bench.logs.log("stdout") is None
    assert list((tmp_path / "fifo").iterdir()) == []
    bench.logs.close()


async def test_redirected_stderr_has_no_pipe_of_its_own(tmp_path: Path) -> None:
    """The kernel keeps the order of what comes on both."""
    log = tmp_path / "out"
    bench = Bench(tmp_path, output(log), output(tmp_path / "err"), redirect_stderr=True).open()
    assert bench.logs.child_paths()[1:] == (None, True)
    child = bench.child("import os\nfor n in range(99): os.write(1 + n % 2, b'%d\\n' % n)")
    child.wait()
    bench.logs.drain()
    assert log.read_bytes() == b"".join(b"%d\n" % n for n in range(99))
    assert bench.logs.log("stderr") is bench.logs.log("stdout")
    assert not (tmp_path / "err").exists()
    bench.logs.close()


async def test_both_streams_may_share_one_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    bench = Bench(tmp_path, output(log, 20), output(log, 20)).open()
    for n in range(6):
        bench.say(b"%06d\n" % n, ("stdout", "stderr")[n % 2])
    assert Path(f"{log}.2").read_bytes() == b"000000\n000001\n"
    assert Path(f"{log}.1").read_bytes() == b"000002\n000003\n"
    assert log.read_bytes() == b"000004\n000005\n"
    bench.logs.close()


async def test_opening_again_for_the_next_run_changes_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, output(tmp_path / "log")).open()
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        bench.open()
    assert sorted(os.listdir("/proc/self/fd")) == before
    bench.say(b"x\n")
    assert (tmp_path / "log").read_bytes() == b"x\n"
    bench.logs.close()


async def test_a_fifo_that_was_removed_is_made_anew_for_the_next_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path, output(tmp_path / "log")).open()
    bench.write(b"of the old one\n")
    os.unlink(bench.logs.child_paths()[0] or "")
    bench.open()
    bench.say(b"of the new one\n")
    assert (tmp_path / "log").read_bytes() == b"of the old one\nof the new one\n"
    bench.logs.close()


async def test_the_open_fifos_can_be_handed_to_a_keeper(tmp_path: Path) -> None:
    """Somebody else's copy of the descriptor keeps last words over the daemon's death."""
    bench = Bench(tmp_path, output(tmp_path / "out"), output(None))
    assert bench.logs.fds() == {}
    bench.open()
    assert list(bench.logs.fds()) == ["stdout"]
    kept = os.dup(bench.logs.fds()["stdout"])
    bench.logs.close()
    bench.write(b"last words\n")
    bench.open(adopting=True)
    bench.logs.drain()
    assert (tmp_path / "out").read_bytes() == b"last words\n"
    os.close(kept)
    bench.logs.close()


async def test_closing_leaves_the_fifos_and_removing_does_not(tmp_path: Path) -> None:
    bench = Bench(tmp_path, output(tmp_path / "out"), output(tmp_path / "err"))
    before = len(os.listdir("/proc/self/fd"))
    bench.open()
    bench.logs.close()
    assert len(list((tmp_path / "fifo").iterdir())) == 2
    bench.logs.remove()
    assert list((tmp_path / "fifo").iterdir()) == []
    bench.logs.remove()
    assert len(os.listdir("/proc/self/fd")) == before


async def test_the_log_is_created_readable_by_others_as_the_umask_allows(tmp_path: Path) -> None:
    bench = Bench(tmp_path, output(tmp_path / "log"))
    old = os.umask(0o027)
    try:
        bench.open()
    finally:
        os.umask(old)
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o640
    bench.logs.close()


# Clear, reopen


@pytest.mark.parametrize("opened", [True, False])
async def test_clear_empties_the_log_and_deletes_the_rotated_files(
    tmp_path: Path, opened: bool
) -> None:
    log = tmp_path / "log"
    bench = Bench(tmp_path, output(log, 5, 2)).open()
    for n in range(4):
        bench.say(b"%03d\n" % n)
    Path(f"{log}.3").write_text("of a time when more were kept")
    if not opened:
        bench.logs.close()
    bench.logs.clear()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["log"]
    assert log.read_bytes() == b""
    if opened:
        bench.say(b"new\n")
        assert log.read_bytes() == b"new\n"
    bench.logs.close()


async def test_clear_has_an_end_whatever_was_planted(tmp_path: Path) -> None:
    """Whoever may write to the directory of a log can make a million files with its name."""
    bench = Bench(tmp_path, output(tmp_path / "web.log", 100, 3)).open()
    planted = [tmp_path / f"web.log.{number}" for number in range(1, 1500)]
    for path in planted:
        path.touch()
    bench.logs.clear()
    left = [path.exists() for path in planted]
    assert left[:1003] == [False] * 1003
    assert all(left[1003:])
    bench.logs.close()


async def test_clearing_what_was_never_written_is_fine(tmp_path: Path) -> None:
    bench = Bench(tmp_path, output(tmp_path / "log"))
    bench.logs.clear()
    assert not (tmp_path / "log").exists()


async def test_clear_without_a_log_file_fails(tmp_path: Path) -> None:
    with pytest.raises(OperationFailed, match='cannot clear "web": no log file'):
        Bench(tmp_path, output(None)).logs.clear()


async def test_reopen_goes_on_in_a_new_file_after_a_move(tmp_path: Path) -> None:
    log = tmp_path / "log"
    bench = Bench(tmp_path, output(log)).open()
    bench.say(b"one\n")
    log.rename(tmp_path / "log.old")
    bench.say(b"two\n")
    bench.logs.reopen()
    bench.say(b"three\n")
    assert (tmp_path / "log.old").read_bytes() == b"one\ntwo\n"
    assert log.read_bytes() == b"three\n"
    bench.logs.close()


async def test_a_reopen_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    bench = Bench(tmp_path, output(log)).open()
    log.rename(tmp_path / "log.old")
    log.mkdir()
    bench.logs.reopen()
    assert bench.reports == [f'cannot open log "{log}": Is a directory; the old file is kept']
    bench.say(b"one\n")
    assert (tmp_path / "log.old").read_bytes() == b"one\n"
    bench.logs.close()


# A changed definition


async def test_a_new_path_counts_from_the_next_byte_and_followers_stay(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    bench = Bench(tmp_path, output(old)).open()
    log = bench.logs.log("stdout")
    assert log is not None
    seen: list[bytes] = []

    def deliver(data: bytes) -> bool:
        seen.append(data)
        return True

    follower = Follower(asyncio.get_running_loop(), log, deliver, print)
    bench.say(b"one\n")
    bench.logs.change(bench.program._replace(stdout=output(new)))
    bench.say(b"two\n")
    await rounds()
    assert (old.read_bytes(), new.read_bytes()) == (b"one\n", b"two\n")
    assert b"".join(seen) == b"one\ntwo\n"
    follower.close()
    bench.logs.close()


async def test_new_limits_count_from_the_next_byte(tmp_path: Path) -> None:
    log = tmp_path / "log"
    bench = Bench(tmp_path, output(log)).open()
    bench.say(b"1234567\n")
    bench.logs.change(bench.program._replace(stdout=output(log, 5, 1)))
    bench.say(b"8\n")
    assert Path(f"{log}.1").read_bytes() == b"1234567\n"
    assert log.read_bytes() == b"8\n"
    bench.logs.close()


async def test_a_new_path_that_cannot_be_opened_is_reported_and_the_old_one_kept(
    tmp_path: Path,
) -> None:
    """The next spawn fails for that reason, so that it is not overlooked."""
    log, bad = tmp_path / "log", tmp_path / "missing" / "log"
    bench = Bench(tmp_path, output(log)).open()
    bench.logs.change(bench.program._replace(stdout=output(bad)))
    text = f'cannot open log "{bad}": No such file or directory'
    assert bench.reports == [f"{text}; its output goes on as before"]
    bench.say(b"one\n")
    assert log.read_bytes() == b"one\n"
    with pytest.raises(SpawnError, match=text):
        bench.open()
    bad.parent.mkdir()
    bench.open()
    bench.say(b"two\n")
    assert bad.read_bytes() == b"two\n"
    bench.logs.close()


async def test_output_that_is_no_longer_wanted_is_dropped_but_still_read(tmp_path: Path) -> None:
    """The child of before writes to its FIFO still; it must not be held up."""
    log = tmp_path / "log"
    bench = Bench(tmp_path, output(log)).open()
    child = os.open(bench.logs.child_paths()[0] or "", os.O_RDWR | os.O_NONBLOCK)
    bench.logs.change(bench.program._replace(stdout=output(None)))
    for _ in range(40):
        os.write(child, b"x" * 60_000)
        bench.logs.drain()
    assert log.read_bytes() == b""
    assert bench.logs.child_paths() == (None, None, False)
    bench.logs.change(bench.program)
    os.write(child, b"wanted again\n")
    bench.logs.drain()
    assert log.read_bytes() == b"wanted again\n"
    os.close(child)
    bench.logs.close()


async def test_a_child_from_before_redirect_stderr_is_still_heard(tmp_path: Path) -> None:
    """Its stderr has a FIFO of its own, which the next daemon must read too."""
    out, err = output(tmp_path / "out"), output(tmp_path / "err")
    first = Bench(tmp_path, out, err).open()
    child = os.open(first.logs.child_paths()[1] or "", os.O_RDWR)
    first.logs.close()
    os.write(child, b"oops\n")
    second = Bench(tmp_path, out, err, redirect_stderr=True).open(adopting=True)
    second.logs.drain()
    assert (tmp_path / "out").read_bytes() == b"oops\n"
    assert (tmp_path / "err").read_bytes() == b""
    os.close(child)
    second.logs.close()


# Last words


async def test_last_lines_are_those_of_the_present_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path, output(tmp_path / "out"), output(tmp_path / "err")).open()
    bench.say(b"of the first run\n", "stderr")
    bench.open()
    assert bench.logs.last_lines() == ""
    bench.say(b"starting\nlistening\n")
    assert bench.logs.last_lines(1) == "listening"
    bench.say(b"Traceback\nValueError: \xff\n", "stderr")
    assert bench.logs.last_lines(2) == "Traceback\nValueError: \N{REPLACEMENT CHARACTER}"
    bench.logs.close()


async def test_last_lines_are_found_right_after_a_rotation(tmp_path: Path) -> None:
    bench = Bench(tmp_path, output(tmp_path / "out", 10)).open()
    bench.say(b"first\nsecond\n")
    assert (tmp_path / "out").read_bytes() == b"second\n"
    assert bench.logs.last_lines(2) == "first\nsecond"
    bench.logs.close()
