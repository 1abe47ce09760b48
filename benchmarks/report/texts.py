"""The texts of docs/performance.md between its figures."""

from __future__ import annotations

INTRODUCTION = """
# Performance

The programs in `benchmarks/` measure everything on this page, and a program writes the page from their results:

    make bench                                       # every program; a table each, and JSON lines in artifacts/
    python -m benchmarks.drain --repeats 3           # one of them
    make bench-peers                                 # other libraries beside ours, in the same rounds

**Method.** Each program starts its own PostgreSQL (fsync on) and Valkey on this machine. It starts workers by the usual
command with the default settings: 8 threads, `synchronous_commit` on when runs are enqueued and when they end, and a
JSON log line of every attempt to a file. The systems take turns within a round, and the tables give the median of the
rounds and their range. Ratios compare values of the same round, because the speed of the machine changes slowly.

**Baseline.** Stock dramatiq on the same Valkey, in the same round, started by its own command with the same number of
threads and `dramatiq_queue_prefetch=256`, its fastest setting. It keeps no records, and its jobs are lost when its
Redis is lost. A run of jobledger is a row before `enqueue` returns, has a lease while it is performed, and gets a row
for its attempt. Enqueueing has a second baseline, the limit for any ledger: psycopg inserts the same row without any
checks.

**The job** does nothing. Its arguments are a number and a text of 100 characters. For real jobs, add their own time.
"""

MEANINGS = {
    "drain": """Draining a backlog
*Runs per second* are counted from the start of the first attempt to the end of the last one, by the ledger: each run is
claimed, performed and settled, and its attempt is recorded. *Processor time* is the time of all processes of the
worker, or of the servers, per run. It includes the start of the worker: about a second, which is 50 µs per run here.
*Write-ahead log* is what PostgreSQL writes to disk per run after it was enqueued. *Statements and commits* were counted
in the worker, in a separate round.""",
    "backlog": """A long backlog
The worker performs the same number of runs from a queue of 20,000 and from a queue of a million. A worker that sorts,
counts or scans the waiting runs would be slower on the long queue.""",
    "enqueue": """Enqueueing
*Enqueue one* calls `enqueue` in a loop. Each call returns when its row is committed to disk and its id is in the ready
index; most of that time is the commit on the disk. *Enqueue many* calls `enqueue_many`, with all runs in one
call (one transaction), or with 100 runs per call.""",
    "latency": """Latency
The time from the call of `enqueue` to the first line of `perform`. It includes the commit of `enqueue`; stock dramatiq
does not wait for a disk.""",
    "lateness": """Due runs and retries
How late they start: the time from `run_at`, or from the last attempt's `retry_at`, to the start of the attempt.""",
    "idle": """Doing nothing
Memory is the proportional set size (PSS) of all processes: the supervisor, the zygote that forks, and two worker
processes. Shared memory is counted once. Processor time is of all threads, over 15 s.

What holds the memory of a worker of one process on PostgreSQL that serves metrics (96.5 MB, Python 3.11):

| memory | MB |
| --- | ---: |
| the supervisor: Python 3.3, what it imports 8, HTTP and Prometheus for the metrics 3.6, shared libraries 1.2 | 16 |
| the zygote and the process share: Python's objects and heap after the imports | 38 |
| the zygote alone: its copies of pages that the process has written to | 18 |
| the process alone: its copies of them, and 3 of its own (threads, connections, statements of the pruner) | 21 |
| clean pages of shared libraries | 3 |

Python 3.11 counts references in the objects themselves, so a process that uses a shared object copies its page. Of the
53 MB after the imports, SQLAlchemy has 14, our own code 12, Python itself 10, pydantic 8, psycopg 5, asyncio 2, and
Prometheus with dramatiq 2. glibc has nothing to give back after the imports (`malloc_trim`: 0.1 MB).""",
    "coroutines": """Coroutines
`async` jobs that sleep for a second, in one process with the default `JOBS_ASYNC_CONCURRENCY`.""",
    "mixed": """Long jobs beside short ones
A worker process claims only as many runs as its threads can finish within 100 ms, and gives back those that it has not
started in time. So a second worker gets its share at once, and a short job waits for a free thread, not for a batch to
end.""",
    "held": """A transaction that somebody holds open
While a transaction is open, PostgreSQL cannot remove the row versions that later updates make obsolete. With Redis,
workers claim by id and do not read them. Without Redis, workers claim from the queue's index and must skip them.""",
    "api": """The API over a million runs
`jobledger api serve` runs beside one worker process at full load. The ledger has 1,000,000 runs, 99 % of them
succeeded. A client sends 20 requests per second, to each list in turn. Times count from the moment when a request is
due, so waiting for an earlier request is included. The worker is measured alone before and after.""",
    "web": """Pages over a million runs
The same measurement for the pages, with 1,000,000 more runs that wait for the worker, so that a list of waiting runs
has to search a large queue. The worker is measured after some seconds of requests, when the caches of pages and figures
are filled. Without Redis, the rate of the worker varies by a tenth from minute to minute on this machine, with or
without requests. That is more than the requests cost.""",
    "fairness": """Processes that share one SQLite file
SQLite allows one writer at a time. The processes of jobledger queue for the lock; without that, the fastest process
would get most of the runs.""",
}

INDEXES = """
What the indexes cost
A plain run is written three times: when it is enqueued, when it is claimed and when it ends. That is 2,190 bytes of
PostgreSQL's write-ahead log, with its attempt (`python -m benchmarks.indexes`, in batches of 500). Seven indexes get an
entry for each run, beside the two primary keys:

| index | bytes a run | written when the run | serves |
| --- | ---: | --- | --- |
| `ix_job_runs_ready` | 103 | is enqueued or retried | claims |
| `ix_job_runs_waiting` | 102 | is enqueued or retried | lists and counts of waiting runs by kind |
| `ix_job_runs_leased` | 76 | is claimed | the search for expired leases |
| `ix_job_runs_ended_at` | 103 | ends | lists of ended runs |
| `ix_job_runs_ended` | 113 | ends | the same by queue and kind, and counts |
| `ix_job_runs_tail` | 77 | ends | short ids |
| `ix_job_attempts_finished` | 86 | ends | attempts by minute |

All other indexes are partial, and a plain run is in none of them: they cost no byte. None of the seven can go without
losing the query that it serves. No update of a run can be HOT: the state decides which partial indexes it is in.
"""

PROFILE = """
Where the time goes
The processor time of one worker process that drains a backlog in fleet mode, sampled every 10 ms. It is given by
thread, and by the innermost module of jobledger or library on the stack. The fetcher and the settler work in batches.
Per run, the fetcher reads the row and its arguments; the settler writes the times of the attempt, its event and its log
line. """

_OF_DRAINING = (
    "a run costs about 80 µs of Python in the worker and about 60 µs in the servers, and they share the cores. In the"
    " profile below, the settler uses two fifths of the worker's part (two statements, one event and one log line per"
    " run); the threads that perform and the fetcher share the rest, and no single function stands out. PostgreSQL"
    " updates the run twice and inserts the attempt. Both updates change the state, which is in the predicate of every"
    " partial index, so neither can be a heap-only update."
)
_OF_ENQUEUEING = (
    "besides the insert, the call checks that the arguments are equal after JSON, and it uses SQLAlchemy. The baseline"
    " does not spend this processor time. The call already needs one round trip to the server instead of three."
)
_OF_BULK = (
    "for each job the call dumps, reads back and compares the arguments, and publishes the id. The insert itself is one"
    " unnest of 500 rows. COPY is not used, because it cannot compute times by the clock of the database."
)
_OF_LATENCY = (
    "the call of `enqueue` is half of it (see *the call of enqueue* below). At 50 per second it takes three times as"
    " long as in a loop, because each step wakes a process that slept and has cold caches. The worker's half has as"
    " many steps: the ready index wakes the fetcher, the fetcher claims the run in PostgreSQL, and then wakes a thread."
)
_OF_MEMORY = (
    "the supervisor has 16 MB. The zygote has about 60 MB, mostly libraries such as SQLAlchemy and pydantic. Within"
    " seconds, each worker process copies about 17 MB of that, because Python writes a reference count into every"
    " object that it uses."
)
_OF_IDLING = (
    "each worker process ends a blocking wait twice per second, and about once per second it checks its leases, the"
    " ready index and messages from its supervisor. The scheduler renews its leadership and reads the due schedules"
    " once per second."
)
_OF_LISTS = (
    "a list of 500 runs takes 15 to 20 ms of processor time in the API, most of it to turn rows into records and"
    " records into JSON. Beside a worker at full load it waits for a core at each step, and later requests wait for it."
)
_OF_LOSSES = (
    "a request for a page takes about 2.5 ms of processor time in the API and 1.5 to 3 ms in PostgreSQL; a request for"
    " a list takes 6 and 2.5 ms. At 20 per second that is a tenth to a sixth of a core, of the two cores that the"
    " worker, the database and the requests share. More than half of PostgreSQL's part counts the figures of the page."
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
