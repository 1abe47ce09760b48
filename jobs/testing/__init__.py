"""What applications test with: a ledger of their own, jobs performed in the test's own thread, a clock to advance.

    def test_an_order_is_charged_once(jobs_ledger):
        jobs_ledger.crash(ChargeCard)
        ChargeCard(order_id=7).enqueue()

        jobs_ledger.drain(advance=timedelta(hours=1))

        assert gateway.charges == [7]

No server, no worker process: everything goes through the same ledger, the same attempts and the same verbs as in
production, one run at a time. Also on PostgreSQL, given its URL; there the clock holds for this process only.
"""

from jobs.testing.attempts import WORKER, Crash, Performed, Plan
from jobs.testing.ledger import MAX_PERFORMED, Ledger, TestClock

__all__ = ["MAX_PERFORMED", "WORKER", "Crash", "Ledger", "Performed", "Plan", "TestClock"]
