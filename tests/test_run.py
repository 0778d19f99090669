from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eyevsai_core import run as run_module
from eyevsai_core.errors import OutputError, RunError
from eyevsai_core.run import Run, RunState, find_run, list_runs, runs_home


def make(dataset: str = "paint") -> Run:
    return Run.create(family="test", variant="colours", dataset=dataset, config={"seed": 3})


def write(run: Run, **values: Any) -> None:
    """Change what is written of a run's state."""
    path = run.folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.fixture
def run() -> Run:
    return make()


class TestCreate:
    def test_a_new_run_is_running(self, run: Run) -> None:
        assert run.folder.parent == runs_home()
        assert "-test-colours-paint-" in run.id
        assert run.state is RunState.RUNNING
        assert run.config == {"seed": 3}
        info = run.info
        assert (info["model"], info["dataset"], info["reason"]) == ("test/colours", "paint", "")
        assert run.is_own

    def test_its_checkpoints_are_made_when_asked_for(self, run: Run) -> None:
        assert not (run.folder / "checkpoints").exists()
        assert run.checkpoints.is_dir()
        assert run.checkpoints == run.folder / "checkpoints"

    def test_no_room(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        monkeypatch.setenv("EYEVSAI_HOME", str(tmp_path / "file"))
        with pytest.raises(OutputError, match=r"cannot write .*config\.json"):
            make()


class TestEnds:
    def test_ok(self, run: Run) -> None:
        with run as entered:
            assert entered is run
            assert run.state is RunState.RUNNING
            assert (run.folder / "owner.lock").is_file()
        assert (run.state, run.info["reason"]) == (RunState.OK, "")
        assert run.info["ended"] >= run.info["created"]
        assert not (run.folder / "owner.lock").exists()

    def test_failed_with_its_reason(self, run: Run) -> None:
        with pytest.raises(ZeroDivisionError, match="by zero"), run:
            raise ZeroDivisionError("division by zero")
        assert run.state is RunState.FAILED
        assert run.info["reason"] == "ZeroDivisionError: division by zero"
        assert not (run.folder / "owner.lock").exists()

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
    def test_killed_by_an_interrupt(self, run: Run, kind: type[BaseException]) -> None:
        with pytest.raises(kind), run:
            raise kind
        assert (run.state, run.info["reason"]) == (RunState.KILLED, "interrupted")

    def test_what_was_kept_while_it_worked_stays(self, run: Run) -> None:
        with run:
            run.remember("ref", "test/colours/paint@1")
        assert run.info["ref"] == "test/colours/paint@1"
        assert run.info["model"] == "test/colours"

    def test_a_failed_run_can_go_on(self, run: Run) -> None:
        with pytest.raises(ValueError, match="once"), run:
            raise ValueError("once")
        with run:
            assert (run.state, run.info["reason"]) == (RunState.RUNNING, "")
        assert run.state is RunState.OK

    def test_a_finished_run_cannot(self, run: Run) -> None:
        with run:
            pass
        with pytest.raises(RunError, match=r"is finished: it made a model$"), run:
            pytest.fail("it is entered")
        run.remember("ref", "test/colours/paint@1")
        with pytest.raises(RunError, match=r"it made test/colours/paint@1$"), run:
            pytest.fail("it is entered")
        assert run.state is RunState.OK
        assert not (run.folder / "owner.lock").exists()

    def test_the_lock_goes_even_when_the_end_cannot_be_written(self, run: Run) -> None:
        with pytest.raises(RunError, match=r"run\.json"), run:
            (run.folder / "run.json").unlink()
        assert not (run.folder / "owner.lock").exists()

    def test_the_lock_goes_when_the_beginning_cannot_be_written(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(path: Path, value: Any) -> None:
            raise OutputError("no space")

        with monkeypatch.context() as patch:
            patch.setattr(run_module, "write_json", full)
            with pytest.raises(OutputError, match="no space"), run:
                pytest.fail("it is entered")
        with run:  # once there is room
            pass
        assert run.state is RunState.OK


class TestRemember:
    def test_a_fact(self, run: Run) -> None:
        run.remember("ref", "one")
        run.remember("ref", "two")
        assert run.info["ref"] == "two"

    def test_a_fingerprint_that_stays(self, run: Run) -> None:
        run.remember("fingerprint", "a" * 64)
        run.remember("fingerprint", "a" * 64)
        assert run.info["fingerprint"] == "a" * 64

    def test_a_fingerprint_that_changed(self, run: Run) -> None:
        run.remember("fingerprint", "a" * 64)
        message = (
            r"cannot go on: its data changed since it began \(fingerprint a{12}\.\.\., "
            r"now b{12}\.\.\.\)\. Restore the pictures, or train anew"
        )
        with pytest.raises(RunError, match=message):
            run.remember("fingerprint", "b" * 64)
        assert run.info["fingerprint"] == "a" * 64


class TestHistory:
    def test_nothing_reported(self, run: Run) -> None:
        assert run.history() == []

    def test_steps_in_their_order_and_of_a_repeated_one_the_last(self, run: Run) -> None:
        for step, loss in ((1, 1.0), (2, 0.5), (3, 0.4), (2, 0.6)):
            run.report(step, 3, {"loss": loss})
        assert run.history() == [
            {"step": 1, "total": 3, "metrics": {"loss": 1.0}},
            {"step": 2, "total": 3, "metrics": {"loss": 0.6}},
            {"step": 3, "total": 3, "metrics": {"loss": 0.4}},
        ]

    @pytest.mark.parametrize(
        "rest", [b'{"step": 2, "to', b"\0\0\0\0", b"\xff\xfe", b"5", b"[]", b"{}", b'{"step": "x"}']
    )
    def test_a_damaged_last_line_costs_that_line_only(self, run: Run, rest: bytes) -> None:
        run.report(1, 3, {})
        with (run.folder / "history.jsonl").open("ab") as file:
            file.write(rest)
        assert [row["step"] for row in run.history()] == [1]
        with run:
            run.report(2, 3, {})
            run.report(3, 3, {})
        assert [row["step"] for row in run.history()] == [1, 2, 3]

    def test_a_whole_history_stays_as_it_is(self, run: Run) -> None:
        run.report(1, 2, {})
        before = (run.folder / "history.jsonl").read_bytes()
        with run:
            pass
        assert (run.folder / "history.jsonl").read_bytes() == before

    def test_a_full_disk(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: Any, **__: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "open", full)
        message = "cannot write the history of run .*: No space left on device; free some space"
        with pytest.raises(OutputError, match=message):
            run.report(1, 2, {})


class TestDamaged:
    @pytest.mark.parametrize("content", [b"{", b"", b"\xff", b"[" * 200_000])
    def test_a_state_that_cannot_be_read(self, run: Run, content: bytes) -> None:
        (run.folder / "run.json").write_bytes(content)
        message = r"run '.*' cannot be read: run\.json: "
        with pytest.raises(RunError, match=message):
            _ = run.state
        with pytest.raises(RunError, match=message):
            _ = run.is_own
        with pytest.raises(RunError, match=message), run:
            pytest.fail("it is entered")

    @pytest.mark.parametrize("content", ["[]", "null", '"ok"'])
    def test_a_state_that_is_no_object(self, run: Run, content: str) -> None:
        (run.folder / "run.json").write_text(content)
        with pytest.raises(RunError, match=r"is damaged: run\.json is not an object"):
            _ = run.info

    @pytest.mark.parametrize("state", ["done", "", None, [], {}])
    def test_a_state_that_is_none(self, run: Run, state: Any) -> None:
        write(run, state=state)
        with pytest.raises(RunError, match=r"run '.*' is damaged: .* is not a valid RunState"):
            _ = run.state

    def test_a_run_without_its_question(self, run: Run) -> None:
        (run.folder / "config.json").unlink()
        with pytest.raises(RunError, match=r"cannot be read: config\.json: .*No such file"):
            _ = run.config

    def test_a_folder_that_is_gone(self, tmp_path: Path) -> None:
        with (
            pytest.raises(RunError, match=r"run '.*gone' cannot be worked on: No such file"),
            Run(tmp_path / "gone"),
        ):
            pytest.fail("it is entered")


class TestList:
    def test_no_home(self) -> None:
        assert not runs_home().exists()
        assert list_runs() == []

    def test_the_newest_is_last_also_within_a_second(self) -> None:
        # Later letters first: the time decides, not what was trained.
        made = [make(name) for name in "edcba"]
        assert list_runs() == made

    def test_only_folders_with_a_state(self, run: Run) -> None:
        (runs_home() / "empty").mkdir()
        (runs_home() / "file").write_text("")
        assert list_runs() == [run]


class TestFind:
    def test_by_folder_and_by_name(self, run: Run, tmp_path: Path) -> None:
        assert find_run(run.id) == run
        assert find_run(str(run.folder)) == run
        elsewhere = run.folder.rename(tmp_path / "elsewhere")
        assert find_run(str(elsewhere)) == Run(elsewhere)

    def test_a_name_that_is_almost_one(self, run: Run) -> None:
        with pytest.raises(RunError) as caught:
            find_run(run.id[:-1])
        assert str(caught.value) == (
            f"no run {run.id[:-1]!r} in {str(runs_home())!r}. Did you mean {run.id!r}?"
        )

    @pytest.mark.parametrize("name", ["nothing like it", "", "x" * 5000, "a\0b"])
    def test_a_name_that_is_none(self, run: Run, name: str) -> None:
        with pytest.raises(RunError, match=r"^no run '.*' in '.*'\.$"):
            find_run(name)

    def test_the_last_one_that_did_not_finish(self) -> None:
        assert not list_runs()
        failed, killed, finished, running, damaged = (make(name) for name in "abcde")
        write(failed, state="failed")
        write(killed, state="killed")
        write(finished, state="ok")
        (damaged.folder / "run.json").write_text("{")
        assert running.state is RunState.RUNNING
        assert find_run("last") == killed
        write(killed, state="ok")
        assert find_run("last") == failed

    def test_no_such_run(self, run: Run) -> None:
        with pytest.raises(RunError, match="no interrupted or failed run to resume"):
            find_run("last")
