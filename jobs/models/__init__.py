"""The tables of the ledger. Each constraint has a name; each partial index names the query it serves."""

from jobs.models.access import (
    ROLE_NAMES,
    OperatorLimit,
    OperatorRefresh,
    OperatorRequest,
    OperatorSession,
    OperatorToken,
    OperatorUser,
)
from jobs.models.effects import JobFollowup, JobGroup, JobGroupMember, JobKey, JobStep
from jobs.models.fleet import JobKind, JobQueue, JobWorker
from jobs.models.operators import OperatorAction, OperatorActionRun
from jobs.models.runs import JobAttempt, JobRun
from jobs.models.schedules import JobLeader, JobSchedule, JobScheduleSlot
from jobs.models.types import (
    DUE,
    ENDED,
    HELD,
    LIVE_KEY,
    LIVE_OF_SCHEDULE,
    MAX_PRIORITY,
    MIN_PRIORITY,
    PURGED,
    SUCCESS_OF_SCHEDULE,
    Base,
    JsonText,
    UtcDateTime,
    id_tail,
    read_json,
    write_moment,
)

__all__ = [
    "DUE",
    "ENDED",
    "HELD",
    "LIVE_KEY",
    "LIVE_OF_SCHEDULE",
    "MAX_PRIORITY",
    "MIN_PRIORITY",
    "PURGED",
    "ROLE_NAMES",
    "SUCCESS_OF_SCHEDULE",
    "Base",
    "JobAttempt",
    "JobFollowup",
    "JobGroup",
    "JobGroupMember",
    "JobKey",
    "JobKind",
    "JobLeader",
    "JobQueue",
    "JobRun",
    "JobSchedule",
    "JobScheduleSlot",
    "JobStep",
    "JobWorker",
    "JsonText",
    "OperatorAction",
    "OperatorActionRun",
    "OperatorLimit",
    "OperatorRefresh",
    "OperatorRequest",
    "OperatorSession",
    "OperatorToken",
    "OperatorUser",
    "UtcDateTime",
    "id_tail",
    "read_json",
    "write_moment",
]
