"""For tests of applications: an own ledger, jobs performed in the test's thread, and a clock to advance.

    def test_an_order_is_charged_once(jobs_ledger):
        jobs_ledger.crash(ChargeCard)
        ChargeCard(order_id=7).enqueue()

        jobs_ledger.drain(advance=timedelta(hours=1))

        assert gateway.charges == [7]

It needs no server and no worker process. Every call uses the same ledger, attempts and functions as production, one
run at a time. With the URL of a PostgreSQL database it also works there; the clock is then that of this process only.
"""

from jobs.testing.attempts import WORKER, Crash, Performed, Plan
from jobs.testing.ledger import MAX_PERFORMED, Ledger, TestClock

__all__ = ["MAX_PERFORMED", "WORKER", "Crash", "Ledger", "Performed", "Plan", "TestClock"]
