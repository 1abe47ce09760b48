"""The texts of docs/performance.md between its figures."""

from __future__ import annotations

INTRODUCTION = """
# Performance

What this page says was measured by the programs in `benchmarks/`, and the page is made from their figures:

    make bench                                       # every program; a table each, and JSON lines in artifacts/
    python -m benchmarks.drain --repeats 3           # one of them
    make bench-peers                                 # other libraries beside ours, in the same rounds

**Method.** Each program starts its own PostgreSQL (fsync on) and Valkey, on this machine, and its own workers, by the
command and with the settings that a user has: 8 threads, `synchronous_commit` on for what is enqueued and for what has
ended, JSON logs of every attempt to a file. Systems take turns within a round, and the table gives the median of the
rounds and their range. What is compared is compared within a round, for a machine's mood lasts longer than one.

**Yardstick.** Stock dramatiq on the same Valkey, in the same round, started by its own command with as many threads and
`dramatiq_queue_prefetch=256`, its fastest setting. It records nothing: when its Redis is lost, so are the jobs. A run
of ours is a row from before `enqueue` returns, a lease while it is performed, and a row for its attempt. For enqueueing
there is a second yardstick, which bounds what any ledger could do: the same row inserted by psycopg itself, with
nothing checked.

**The job** does nothing. It has one number and a text of 100 characters. Of jobs that do something, take the time they
need and add what stands here.
"""

MEANINGS = {
    "drain": """Draining a backlog
*Runs a second* is from the start of the first attempt to the end of the last, as the ledger has them: claimed,
performed and settled, with the attempt on record. *Processor time* is what the worker's whole tree, or all processes
of the servers, used for a run, the start of the worker included (about a second, so 50 µs a run here). *Write-ahead
log* is what PostgreSQL writes to disk for a run after it was enqueued. *Statements and commits* were counted in the
worker, in a round of its own.""",
    "backlog": """A long backlog
The same number of runs, taken from a queue of 20,000 and from one of a million. A worker that sorts, counts or walks
what waits would show it here.""",
    "enqueue": """Enqueueing
One by one, each call returns when its row is committed to disk and its id is in the ready index: the disk's own time
for a commit is most of it. *Many* is `enqueue_many`, in one call (one transaction) and 100 a call.""",
    "latency": """Latency
From the call of `enqueue` to the first line of `perform`. The call's commit is part of it, for nothing is enqueued
before; stock dramatiq waits for no disk.""",
    "lateness": """Due runs and retries
How long after their moment they begin: from `run_at`, or the attempt's `retry_at`, to the start of the attempt.""",
    "idle": """Doing nothing
Memory is the proportional set size of the whole tree: supervisor, the process that forks, and two worker processes.
What they share is counted once. Processor time is over 15 s, of all threads.""",
    "coroutines": """Coroutines
`async` jobs that sleep for a second, all in one process with the default `JOBS_ASYNC_CONCURRENCY`.""",
    "mixed": """Long jobs beside short ones
A process claims what its threads will have done within 100 ms, and gives back what it has not started in time. So a
second worker has its share at once, and a short job waits for a thread and not for a batch.""",
    "held": """A transaction that somebody holds open
While it is open, PostgreSQL can remove no row that has died since. Claims by id (with Redis) do not meet the dead ones;
claims from the queue's index (without) walk past them.""",
    "api": """The API over a million runs
`jobledger api serve` beside one worker process at full load, in a ledger of 1,000,000 runs, of which 990 in a thousand
have succeeded: 20 requests a second, each list in its turn, timed from when the request was due, so that one that waits
for another is late by as much. The worker is measured alone before and after.""",
    "web": """Pages over a million runs
The same of the pages, with 1,000,000 more that wait for the worker: whoever lists what waits must find its way among
them. The worker is measured once requests have come for some seconds: what is kept of pages and figures is over when
nobody has asked for a while, and is then all made at once. Without Redis the worker's own pace differs by a tenth from
minute to minute on this machine, with requests or without: too much to tell there what they take.""",
    "fairness": """Processes that share one SQLite file
SQLite lets one connection write at a time. Ours stand in a queue for it; without, the fastest takes all.""",
}

PROFILE = """
Where the time goes
Processor time of one worker process that drains a backlog in fleet mode, by thread and by the innermost module of ours,
or library, that it was in; sampled every 10 ms. The settler and the fetcher work per batch. Per run they handle its
arguments and its row on the way in, and its moments, its event and its log line on the way out.
"""

_OF_DRAINING = (
    "a run costs the worker some 80 µs of Python and the servers some 60 µs, on cores that they share. By the profile"
    " below, of the worker's part two fifths are the settler's (one row into two statements, one event, one log line),"
    " the rest is shared by the threads that perform and the fetcher; what is left of each is spread thin. PostgreSQL's"
    " part is the two updates of a row whose state stands in the predicate of every partial index, so that none of them"
    " can stay on its page, and the attempt's row."
)
_OF_ENQUEUEING = (
    "beside the insert the call checks that the arguments come back from JSON as they went in, and speaks to the server"
    " through SQLAlchemy: processor time of Python, which the yardstick does not spend. A single statement that commits"
    " by itself already saves two of three questions."
)
_OF_BULK = (
    "for each job the arguments are dumped, read back and compared, and its id is published; the insert itself is one"
    " unnest of 500 rows. COPY is not used: it cannot reckon moments by the ledger's clock."
)
_OF_LATENCY = (
    "the call is half of it (see *the call of enqueue* below): it takes three times as long at 50 a second as one after"
    " another, for at each step a process is woken that has slept, and finds its caches cold. The worker's half has as"
    " many such steps: the ready index wakes the fetcher, one claim goes to PostgreSQL and back, and a thread is woken."
)
_OF_MEMORY = (
    "the supervisor has 16 MB; the process that forks has some 60 MB, most of it SQLAlchemy, pydantic and their like;"
    " and each worker process makes about 17 MB of that its own within seconds, for Python writes a reference count"
    " into whatever it touches."
)
_OF_IDLING = (
    "each worker process ends a blocking wait twice a second and looks after leases, the index and its supervisor's"
    " word about once a second; the scheduler renews its lead and looks for what is due once a second."
)
_OF_LISTS = (
    "a page of 500 runs takes 15 to 20 ms of the API's processor, most of it for making records of rows and JSON of"
    " records; beside a worker at full load it waits for a core at each step, and what comes behind it waits too."
)
_OF_LOSSES = (
    "a request for a page takes some 2.5 ms of processor in the API and 1.5 to 3 in PostgreSQL, one for a list 6 and"
    " 2.5: at 20 a second a tenth to a sixth of a core, of the two that worker, database and requests share. In"
    " PostgreSQL more than half of it counts figures anew."
)
SHORTFALLS = {
    "drain, 1 process, against dramatiq": _OF_DRAINING,
    "drain, 2 processes, against dramatiq": _OF_DRAINING,
    "enqueue one, against a psycopg insert and ZADD": _OF_ENQUEUEING,
    "enqueue_many, against psycopg's unnest": _OF_BULK,
    "latency at 50/s, p50": _OF_LATENCY,
    "latency at 50/s, p99": _OF_LATENCY,
    "latency at 1/s, p50": _OF_LATENCY,
    "memory of an idle worker of 2 processes, whole tree": _OF_MEMORY,
    "idle worker and scheduler together": _OF_IDLING,
    "the slowest list or page over 1,000,000 runs, beside a busy worker, p95": _OF_LISTS,
    "what that worker, in fleet mode, loses to 20 requests/s": _OF_LOSSES,
}
"""By the name of a goal: why it falls short of its *at least*, where it does, as profiles and counts have shown."""
