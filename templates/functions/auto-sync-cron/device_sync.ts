// One call of the sync function, and what its answer means. Whatever it does, the result is an outcome, never a throw.

import { boundedText, jsonObject, presentable, reasonOf } from "../_shared/answers.ts";
import { keyHeaders } from "../_shared/credentials.ts";
import type { Counts, Outcome, Schedule } from "./schedules.ts";

/** Where the sync function is, with which key it is called, and how long (in milliseconds) it may take. */
export interface DeviceSyncCall {
  url: string;
  key: string;
  timeout: number;
}

/** Run the sync of one schedule and say how it went. */
export async function syncDevices(schedule: Schedule, call: DeviceSyncCall): Promise<Outcome> {
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(call.url, {
      method: "POST",
      headers: { ...keyHeaders(call.key), "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({
        integration_id: schedule.integration_id,
        organization_id: schedule.organization_id,
        direction: schedule.direction,
        dryRun: false,
        options: {
          conflictResolution: schedule.conflict_resolution,
          onlyOnline: schedule.only_online,
          deviceFilter: schedule.device_filter,
          deviceTags: schedule.device_tags,
        },
      }),
      // A redirect would carry the service key to another address.
      redirect: "manual",
      signal: AbortSignal.timeout(call.timeout),
    });
    text = await boundedText(answer);
  } catch (error) {
    return failure(
      error instanceof DOMException && error.name === "TimeoutError"
        ? `no answer within ${call.timeout} ms`
        : `the call failed: ${reasonOf(error)}`,
    );
  }
  return outcomeOf(answer, text);
}

/** Return the outcome that an answer of the sync function stands for. */
export function outcomeOf(answer: Response, text: string): Outcome {
  const body = jsonObject(text);
  if (!answer.ok) {
    return failure(
      [`http ${answer.status}`, answer.headers.get("sb-error-code"), messageIn(body)].filter(Boolean).join(
        ": ",
      ),
    );
  }
  if (body === null) {
    return failure(`http ${answer.status}: the answer is not a json object`);
  }
  const counts = countsIn(body);
  if (body.ok === false || body.success === false) {
    return failure(messageIn(body) || "the answer says that the sync failed", counts ?? undefined);
  }
  if (counts === null) {
    return failure(`http ${answer.status}: the answer has no summary with counts`);
  }
  if (counts.errors === 0) {
    return { status: "success", summary: counts };
  }
  if (counts.synced + counts.created + counts.updated > 0) {
    return { status: "partial", summary: counts };
  }
  return failure(messageIn(body) || "nothing was synced", counts);
}

function failure(error: string, counts?: Counts): Outcome {
  const summary = counts ?? { synced: 0, created: 0, updated: 0, skipped: 0, errors: 0 };
  return {
    status: "failed",
    summary: { ...summary, errors: Math.max(1, summary.errors), error: presentable(error) },
  };
}

function messageIn(body: Record<string, unknown> | null): string {
  for (const value of [body?.error, body?.message]) {
    if (typeof value === "string" && value.trim() !== "") {
      return value;
    }
  }
  return "";
}

/** Return the counts of an answer: those of its `summary`, or its own; null if it has none or one is no count. */
function countsIn(body: Record<string, unknown>): Counts | null {
  const summary = body.summary ?? body;
  if (typeof summary !== "object" || summary === null) {
    return null;
  }
  const source = summary as Record<string, unknown>;
  if (!("errors" in source) && !("synced" in source)) {
    return null;
  }
  const counts: Counts = { synced: 0, created: 0, updated: 0, skipped: 0, errors: 0 };
  for (const name of Object.keys(counts) as (keyof Counts)[]) {
    const value = source[name] ?? 0;
    const count = Array.isArray(value) ? value.length : value;
    if (typeof count !== "number" || !Number.isSafeInteger(count) || count < 0) {
      return null;
    }
    counts[name] = count;
  }
  return counts;
}
