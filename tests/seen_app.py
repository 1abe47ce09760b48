"""Jobs of every ending, for tests of what is told of them."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

import jobs
from jobs import Retry

SOON = Retry(max_attempts=5, first=timedelta(milliseconds=50))


class Fine(jobs.Job):
    n: int = 0

    def perform(self) -> None:
        pass


class Slowish(jobs.Job):
    def perform(self) -> None:
        time.sleep(0.05)


class Flaky(jobs.Job, retry=SOON):
    def perform(self) -> None:
        if self.run.attempt < 3:
            raise OSError("not yet")


class Hopeless(jobs.Job, retry=Retry(max_attempts=2, first=timedelta(milliseconds=50))):
    def perform(self) -> None:
        raise ValueError("no")


class Quitter(jobs.Job):
    def perform(self) -> None:
        raise jobs.Cancel("enough")


class Parent(jobs.Job):
    def perform(self) -> None:
        logging.getLogger("shop").info("in the job")
        Fine().enqueue()


class Keeper(jobs.Job, retry=Retry(max_attempts=2, first=timedelta(milliseconds=50))):
    """Is given a secret, returns it, and fails with one in a local variable."""

    password: str
    note: str = ""
    says: str = ""
    fails: bool = False

    def perform(self) -> dict[str, str]:
        held = self.password
        logging.getLogger("shop").info("keeping")
        if self.fails:
            raise RuntimeError(f"could not keep it {self.says}")
        return {"kept": held}
