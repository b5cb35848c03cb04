// plain-function: called by the database on the schedule of its job, with a service key or the cron secret.
//
// _shared/job.ts checks the caller and answers: 200 {"ok": true, "duration_ms", "counts"}, or 500 with "ok": false and
// "error" when `work` throws. When the job has reports_within, it answers 202 at once and reports the end.

import { type Call, type Result, serveJob } from "../_shared/job.ts";

/**
 * Do the job's work and count what was done.
 *
 * Put your work here. `call.body` holds the job's own body, `call.timeLimit` for how many milliseconds the caller waits.
 * Throw when it failed: the message is kept in the database, so it names no person. A call may come twice (after an
 * interruption, or when its answer was lost), so write idempotently.
 */
// deno-lint-ignore require-await
async function work(_call: Call): Promise<Result> {
  return { counts: { processed: 0 } };
}

serveJob("plain-function", work);
