"""The tables of the ledger: each constraint has a name; each partial index names its query."""

from jobs.database.models.access import (
    ROLE_NAMES,
    OperatorLimit,
    OperatorRefresh,
    OperatorRequest,
    OperatorSession,
    OperatorToken,
    OperatorUser,
)
from jobs.database.models.alerts import AlertRoute, AlertState
from jobs.database.models.attempt_logs import JobAttemptLog
from jobs.database.models.batches import JobBatch
from jobs.database.models.blobs import JobBlob, JobBlobChunk, JobBlobRef
from jobs.database.models.breakers import JobBreaker, JobBreakerFailure, JobCanary
from jobs.database.models.chaos import JobChaosEffect, JobChaosTarget
from jobs.database.models.effects import JobFollowup, JobGroup, JobGroupMember, JobKey, JobStep
from jobs.database.models.fleet import (
    JobCodeRelease,
    JobKind,
    JobPublishedKind,
    JobQueue,
    JobTargetCount,
    JobWorker,
    JobWorkerRelease,
)
from jobs.database.models.history import JobHistorySettings
from jobs.database.models.limits import JobLimit, JobLimitSlot, JobRateSlot
from jobs.database.models.operators import AuditHead, AuditLink, OperatorAction, OperatorActionRun
from jobs.database.models.parents import JobParent
from jobs.database.models.runs import JobAttempt, JobRun
from jobs.database.models.schedules import JobLeader, JobSchedule, JobScheduleSlot
from jobs.database.models.seals import JobSubjectKey
from jobs.database.models.table_class import Base, aliased
from jobs.database.models.turns import JobTurn
from jobs.database.models.types import (
    DUE,
    ENDED,
    HELD,
    LIVE_KEY,
    LIVE_OF_SCHEDULE,
    OF_TENANT,
    ON_HOLD,
    PURGED,
    SHOWN,
    SUCCESS_OF_SCHEDULE,
    JsonText,
    UtcDateTime,
    id_tail,
    read_json,
    read_moment,
    write_moment,
)
from jobs.database.models.waits import JobCallback, JobSignal

__all__ = [
    "DUE",
    "ENDED",
    "HELD",
    "LIVE_KEY",
    "LIVE_OF_SCHEDULE",
    "OF_TENANT",
    "ON_HOLD",
    "PURGED",
    "ROLE_NAMES",
    "SHOWN",
    "SUCCESS_OF_SCHEDULE",
    "AlertRoute",
    "AlertState",
    "AuditHead",
    "AuditLink",
    "Base",
    "JobAttempt",
    "JobAttemptLog",
    "JobBatch",
    "JobBlob",
    "JobBlobChunk",
    "JobBlobRef",
    "JobBreaker",
    "JobBreakerFailure",
    "JobCallback",
    "JobCanary",
    "JobChaosEffect",
    "JobChaosTarget",
    "JobCodeRelease",
    "JobFollowup",
    "JobGroup",
    "JobGroupMember",
    "JobHistorySettings",
    "JobKey",
    "JobKind",
    "JobLeader",
    "JobLimit",
    "JobLimitSlot",
    "JobParent",
    "JobPublishedKind",
    "JobQueue",
    "JobRateSlot",
    "JobRun",
    "JobSchedule",
    "JobScheduleSlot",
    "JobSignal",
    "JobStep",
    "JobSubjectKey",
    "JobTargetCount",
    "JobTurn",
    "JobWorker",
    "JobWorkerRelease",
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
    "aliased",
    "id_tail",
    "read_json",
    "read_moment",
    "write_moment",
]
