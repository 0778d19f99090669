"""Run: one attempt to train, its folder, and the state that it is in.

A run's folder holds ``run.json`` (the state), ``config.json`` (what was asked), ``history.jsonl``
(what was reported) and ``checkpoints/``. A run whose process died without a word is ``killed``:
failed is not zero, and a dead run is never shown as running.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from eyevsai_core.errors import EyevsaiError, OutputError, RunError, did_you_mean
from eyevsai_core.files import data_home, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType, TracebackType

__all__ = ["Run", "RunState", "find_run", "list_runs", "runs_home"]

_STATE, _CONFIG, _HISTORY, _OWNER = "run.json", "config.json", "history.jsonl", "owner.lock"


class RunState(StrEnum):
    """How an attempt stands or ended."""

    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    KILLED = "killed"
    SKIPPED = "skipped"


def runs_home() -> Path:
    """Return the folder that holds the runs."""
    return data_home() / "runs"


@dataclass
class Run:
    """One run's folder. Use it as a context to own it while it works.

    Leaving the context writes how it ended: ``ok``, ``failed`` with the error, or ``killed`` on
    Ctrl-C and SIGTERM.
    """

    folder: Path

    @classmethod
    def create(cls, *, family: str, variant: str, dataset: str, config: Mapping[str, Any]) -> Self:
        """Make the folder of a new run. Raises `OutputError`."""
        now = datetime.now(UTC)
        # To the millisecond: names are sorted by time, also when two runs begin in one second.
        time = f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}"
        name = f"{time}-{family}-{variant}-{dataset}-{secrets.token_hex(2)}"
        run = cls(runs_home() / name)
        write_json(run.folder / _CONFIG, dict(config))
        write_json(
            run.folder / _STATE,
            {
                "state": RunState.RUNNING.value,
                "reason": "",
                "model": f"{family}/{variant}",
                "dataset": dataset,
                "created": now.isoformat(timespec="seconds"),
                **_owner(),
            },
        )
        return run

    @property
    def id(self) -> str:
        """The name of the folder."""
        return self.folder.name

    @property
    def checkpoints(self) -> Path:
        """The folder where a trainer keeps what it needs to go on; made when first asked for."""
        path = self.folder / "checkpoints"
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def config(self) -> dict[str, Any]:
        """What was asked for. Raises `RunError` when it cannot be read."""
        return self._read(_CONFIG)

    @property
    def info(self) -> dict[str, Any]:
        """The state as written; ``running`` becomes ``killed`` when its process is gone."""
        info = self._read(_STATE)
        if info.get("state") == RunState.RUNNING and not _alive(info):
            info |= {"state": RunState.KILLED.value, "reason": "its process ended without a word"}
        return info

    @property
    def state(self) -> RunState:
        """How the run stands or ended."""
        try:
            return RunState(self.info.get("state", ""))
        except ValueError as error:
            raise RunError(f"run {self.id!r} is damaged: {error}") from error

    @property
    def is_own(self) -> bool:
        """Whether this very process was the last to work on it. Raises `RunError`."""
        info = self._read(_STATE)
        return all(info.get(key) == value for key, value in _owner().items())

    def remember(self, key: str, value: str) -> None:
        """Keep a fact of the run. A fingerprint that changed since the last attempt is an error."""
        info = self._read(_STATE)
        if key == "fingerprint" and info.get(key, value) != value:
            raise RunError(
                f"run {self.id!r} cannot go on: its data changed since it began (fingerprint "
                f"{info[key][:12]}..., now {value[:12]}...). Restore the pictures, or train anew"
            )
        write_json(self.folder / _STATE, {**info, key: value})

    def report(self, step: int, total: int, metrics: Mapping[str, Any]) -> None:
        """Append a line to the history. Raises `OutputError`."""
        line = json.dumps({"step": step, "total": total, "metrics": dict(metrics)})
        try:
            with (self.folder / _HISTORY).open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise OutputError(
                f"cannot write the history of run {self.id!r}: {error.strerror or error}; free "
                "some space, then resume it"
            ) from error

    def history(self) -> list[dict[str, Any]]:
        """Return the reported lines by step; of a step that was repeated, the last."""
        path = self.folder / _HISTORY
        if not path.is_file():
            return []
        rows: dict[int, dict[str, Any]] = {}
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
                rows[int(row["step"])] = row
            except (ValueError, TypeError, KeyError):
                continue  # a killed run's last line may be cut short, a full disk leaves zeros
        return [rows[step] for step in sorted(rows)]

    def __enter__(self) -> Self:
        """Own the run. Raises `RunError` when it is finished, or another process works on it."""
        self._lock()
        try:
            info = self._read(_STATE)
            if info.get("state") == RunState.OK:
                raise RunError(f"run {self.id!r} is finished: it made {info.get('ref', 'a model')}")
            write_json(
                self.folder / _STATE,
                {**info, "state": RunState.RUNNING.value, "reason": "", **_owner()},
            )
            self._end_cut_line()
        except EyevsaiError:
            (self.folder / _OWNER).unlink(missing_ok=True)
            raise
        # SIGTERM is how schedulers stop a job; let it unwind like Ctrl-C. Only the main thread
        # may set a handler.
        self._previous = None
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, _interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write how it ended, and let the error pass."""
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)
        if kind is None:
            state, reason = RunState.OK, ""
        elif issubclass(kind, KeyboardInterrupt | SystemExit):
            state, reason = RunState.KILLED, "interrupted"
        else:
            state, reason = RunState.FAILED, f"{kind.__name__}: {error}"
        try:
            info = self._read(_STATE)
            ended = datetime.now(UTC).isoformat(timespec="seconds")
            write_json(
                self.folder / _STATE,
                {**info, "state": state.value, "reason": reason, "ended": ended},
            )
        finally:
            (self.folder / _OWNER).unlink(missing_ok=True)

    def _lock(self) -> None:
        """Take the owner's file, or take it over from a process that is gone."""
        path = self.folder / _OWNER
        for _ in range(2):
            try:
                with path.open("x", encoding="utf-8") as file:
                    json.dump(_owner(), file)
            except FileExistsError:
                owner = _read_owner(path)
                if _alive(owner):
                    raise RunError(
                        f"run {self.id!r} is being worked on by process {owner.get('pid')} on "
                        f"{owner.get('host')}; wait for it or stop it"
                    ) from None
                path.unlink(missing_ok=True)
            except OSError as error:
                raise RunError(
                    f"run {str(self.folder)!r} cannot be worked on: {error.strerror or error}"
                ) from error
            else:
                return
        raise RunError(f"run {self.id!r} was taken by another process; try again")

    def _end_cut_line(self) -> None:
        """End the line that a killed process left half written: the next would be lost with it."""
        path = self.folder / _HISTORY
        if path.is_file() and not path.read_bytes().endswith(b"\n"):
            with path.open("ab") as file:
                file.write(b"\n")

    def _read(self, name: str) -> dict[str, Any]:
        try:
            values = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"run {str(self.folder)!r} cannot be read: {name}: {error}") from error
        if not isinstance(values, dict):
            raise RunError(f"run {str(self.folder)!r} is damaged: {name} is not an object")
        return values


def list_runs() -> list[Run]:
    """Return all runs, the newest last."""
    home = runs_home()
    return [Run(p.parent) for p in sorted(home.glob(f"*/{_STATE}"))] if home.is_dir() else []


def find_run(name: str) -> Run:
    """Return a run by its folder, its name, or ``last``: the newest that is not finished.

    Raises `RunError`.
    """
    folder = Path(name)
    if os.path.isfile(folder / _STATE):  # noqa: PTH113  Path.is_file fails on a very long name
        return Run(folder)
    runs = {run.id: run for run in list_runs()}
    if name == "last":
        for run in reversed(runs.values()):
            with suppress(RunError):  # a damaged run cannot be resumed
                if run.state not in (RunState.OK, RunState.RUNNING):
                    return run
        raise RunError("there is no interrupted or failed run to resume")
    if name not in runs:
        raise RunError(f"no run {name!r} in {str(runs_home())!r}." + did_you_mean(name, runs))
    return runs[name]


def _owner() -> dict[str, Any]:
    pid = os.getpid()
    return {"pid": pid, "host": socket.gethostname(), "started": _start_time(pid)}


def _read_owner(path: Path) -> dict[str, Any]:
    """Return who took a run; nobody, when the file is gone or was left half written."""
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _start_time(pid: int) -> str:
    """Return when a process began, so that a number given anew is not taken for the old one."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""  # not Linux: the number alone has to do
    fields = stat.rpartition(")")[2].split()
    # A zombie has ended; only its parent has not asked yet.
    return "ended" if fields[0] == "Z" else f"{boot}/{fields[19]}"


def _alive(owner: Mapping[str, Any]) -> bool:
    pid = owner.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return False
    if owner.get("host") != socket.gethostname():
        return True  # on another machine: nobody here can know
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return _start_time(pid) == owner.get("started")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
