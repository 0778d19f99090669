from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from eyevsai_core import run as run_module
from eyevsai_core.errors import RunError
from eyevsai_core.run import Run, RunState, find_run

# Works on the run in argv[1], says so, and goes on until it is stopped.
WORK = """
import signal, sys, threading
from pathlib import Path
from eyevsai_core.run import Run
# Where the tests run in the background of a script, Ctrl-C is ignored, and so by their children.
signal.signal(signal.SIGINT, signal.default_int_handler)
with Run(Path(sys.argv[1])):
    print("working", flush=True)
    threading.Event().wait()
"""


def make(dataset: str = "paint") -> Run:
    return Run.create(family="test", variant="colours", dataset=dataset, config={"seed": 3})


def write(run: Run, **values: Any) -> None:
    """Change what is written of a run's state."""
    path = run.folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def put_owner(run: Run, content: Any) -> None:
    (run.folder / "owner.lock").write_text(json.dumps(content))


def working(run: Run) -> subprocess.Popen[str]:
    """Start a process that works on `run`, and wait until it does."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, str(run.folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "working\n"
    return process


def ended_process() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def run() -> Run:
    return make()


class TestSignals:
    def test_sigterm_is_answered_while_it_works_and_only_then(self, run: Run) -> None:
        before = signal.getsignal(signal.SIGTERM)
        assert before is not run_module._interrupt
        seen: list[Any] = []

        def work() -> None:
            with run:
                seen.append(signal.getsignal(signal.SIGTERM))
                signal.raise_signal(signal.SIGTERM)

        with pytest.raises(KeyboardInterrupt):
            work()
        assert seen == [run_module._interrupt]
        assert signal.getsignal(signal.SIGTERM) is before
        assert run.state is RunState.KILLED

    def test_other_threads_leave_signals_alone(self, run: Run) -> None:
        before = signal.getsignal(signal.SIGTERM)
        seen: list[Any] = []

        def work() -> None:
            with run:
                seen.append(signal.getsignal(signal.SIGTERM))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert seen == [before]
        assert run.state is RunState.OK

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_process_that_is_asked_to_stop_says_so(
        self, run: Run, number: signal.Signals
    ) -> None:
        with working(run) as process:
            assert run.state is RunState.RUNNING
            process.send_signal(number)
        assert process.returncode != 0
        assert (run.state, run.info["reason"]) == (RunState.KILLED, "interrupted")
        assert not (run.folder / "owner.lock").exists()

    def test_a_process_that_is_killed_cannot_but_is_not_shown_as_running(self, run: Run) -> None:
        with working(run) as process:
            assert run.state is RunState.RUNNING
            assert not run.is_own
            process.kill()
        assert json.loads((run.folder / "run.json").read_text())["state"] == "running"
        assert run.state is RunState.KILLED
        assert run.info["reason"] == "its process ended without a word"
        assert find_run("last") == run
        with run:  # takes over the lock that was left
            assert run.is_own
        assert run.state is RunState.OK

    def test_a_child_that_nobody_asked_about_has_ended(self, run: Run) -> None:
        # Killed, but not waited for: a zombie, to which signals can still be sent.
        with working(run) as process:
            process.kill()
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            os.kill(process.pid, 0)
            assert run_module._start_time(process.pid) == "ended"
            assert run.state is RunState.KILLED


class TestLock:
    def test_a_second_owner_is_refused(self, run: Run) -> None:
        with working(run) as process:
            message = (
                f"is being worked on by process {process.pid} on {socket.gethostname()}; "
                "wait for it or stop it"
            )
            with pytest.raises(RunError, match=message), run:
                pytest.fail("it is entered")
            assert run.state is RunState.RUNNING
            assert (run.folder / "owner.lock").is_file()
            process.kill()

    def test_also_in_the_same_process(self, run: Run) -> None:
        with run, pytest.raises(RunError, match="worked on by process"), Run(run.folder):
            pytest.fail("it is entered")
        assert run.state is RunState.OK

    def test_the_lock_of_a_dead_owner_is_taken_over(self, run: Run) -> None:
        put_owner(run, {**run_module._owner(), "pid": ended_process()})
        with run:
            assert json.loads((run.folder / "owner.lock").read_text()) == run_module._owner()

    @pytest.mark.parametrize(
        "content",
        [b"", b'{"pid": 1', b"\xff", b"[]", b"null", b'{"pid": "1"}', b'{"pid": -1}', b"{}"],
    )
    def test_a_damaged_lock_belongs_to_nobody(self, run: Run, content: bytes) -> None:
        (run.folder / "owner.lock").write_bytes(content)
        with run:
            pass
        assert run.state is RunState.OK

    def test_a_process_of_another_machine_counts_as_alive(self, run: Run) -> None:
        put_owner(run, {"pid": 7, "host": "elsewhere", "started": "x"})
        with pytest.raises(RunError, match="process 7 on elsewhere"), run:
            pytest.fail("it is entered")
        write(run, host="elsewhere")
        assert run.state is RunState.RUNNING

    def test_another_one_was_faster(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        # The file is there again each time that it has been taken away.
        put_owner(run, {})
        monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(RunError, match="was taken by another process; try again"), run:
            pytest.fail("it is entered")

    def test_what_the_faster_one_finished_is_not_begun_again(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lock = Run._lock

        def late(self: Run) -> None:
            write(run, state="ok")
            lock(self)

        monkeypatch.setattr(Run, "_lock", late)
        with pytest.raises(RunError, match="is finished"), run:
            pytest.fail("it is entered")

    def test_a_folder_that_cannot_be_written(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: Any, **__: Any) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(RunError, match=r"cannot be worked on: Permission denied$"), run:
            pytest.fail("it is entered")


class TestOwner:
    def test_a_number_given_to_another_process_is_not_the_old_one(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert run.state is RunState.RUNNING
        assert run.is_own
        monkeypatch.setattr(run_module, "_start_time", lambda _: "another boot/1")
        assert run.state is RunState.KILLED
        assert not run.is_own

    def test_where_nothing_tells_when_a_process_began_its_number_has_to_do(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def nothing(*_: Any, **__: Any) -> str:
            raise FileNotFoundError("/proc")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_text", nothing)
            assert run_module._start_time(os.getpid()) == ""
        monkeypatch.setattr(run_module, "_start_time", lambda _: "")
        run = make()
        assert run.state is RunState.RUNNING
        write(run, pid=ended_process())
        assert run.state is RunState.KILLED

    def test_a_process_of_another_user_is_alive(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(pid: int, number: int) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "kill", refuse)
        write(run, started="when only its owner may know")
        assert run.state is RunState.RUNNING

    @pytest.mark.parametrize("pid", [None, "1", 0, -1, 2**40, 10**30])
    def test_a_number_that_no_process_has(self, run: Run, pid: Any) -> None:
        write(run, pid=pid)
        assert run.state is RunState.KILLED

    def test_the_start_of_a_process_is_told_apart(self, run: Run) -> None:
        own = run_module._start_time(os.getpid())
        assert own == run_module._start_time(os.getpid())
        with working(run) as process:
            assert own != run_module._start_time(process.pid)
            process.kill()

    def test_another_process_has_not_worked_on_it(self, run: Run) -> None:
        write(run, pid=os.getppid())
        assert not run.is_own
