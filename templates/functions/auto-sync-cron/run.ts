// One run: claim what is due, sync each schedule, record each outcome, until nothing is due or the time is over.

import { reasonOf } from "../_shared/answers.ts";
import type { Result } from "../_shared/job.ts";
import { syncDevices } from "./device_sync.ts";
import type { Schedule, Schedules } from "./schedules.ts";
import type { Settings } from "./settings.ts";

/**
 * What a run did. Every claimed schedule is counted once more: under its outcome if that was recorded, under `refused`
 * if recording it failed, under `lost` if its claim was, under `unstarted` if the time was over before its turn (its
 * claim then lapses by itself).
 */
interface Tally {
  claimed: number;
  succeeded: number;
  partial: number;
  failed: number;
  refused: number;
  lost: number;
  unstarted: number;
}

/** When a run must do what, as times of performance.now(). */
interface Clock {
  /** After it nothing is claimed or begun. */
  lastBegin: number;
  /** By then every call of the sync function has ended; its outcome is recorded in the time that is left. */
  callsEnd: number;
  /** By then everything has ended. */
  end: number;
}

// The last calls may end this share of the budget after it: 140 s by default, of the platform's 150.
const GRACE = 1 / 6;
// The share of the caller's time that is kept for recording the last outcomes and for the way of the answer.
const RESERVE = 0.1;

/** Do one run. `timeLimit`: for how many milliseconds the caller waits for its end, null if it does not say. */
export async function runDueSchedules(
  schedules: Schedules,
  settings: Settings,
  batchSize: number,
  timeLimit: number | null,
): Promise<Result> {
  const clock = clockOf(settings, timeLimit);
  const tally: Tally = { claimed: 0, succeeded: 0, partial: 0, failed: 0, refused: 0, lost: 0, unstarted: 0 };
  const url = `${settings.projectUrl}/functions/v1/${encodeURIComponent(settings.deviceSyncFunction)}`;
  let error: string | undefined;

  async function runOne(schedule: Schedule): Promise<void> {
    const now = performance.now();
    if (now >= clock.lastBegin) {
      tally.unstarted++;
      return;
    }
    const timeout = Math.round(Math.min(settings.callTimeout, clock.callsEnd - now));
    const outcome = await syncDevices(schedule, { url, key: schedules.key, timeout });
    const recorded = await schedules.complete(schedule, outcome, clock.end);
    if (recorded.kind === "recorded") {
      tally[outcome.status === "success" ? "succeeded" : outcome.status]++;
    } else {
      tally[recorded.kind]++;
    }
    if (recorded.kind === "refused") {
      error ??= `recording an outcome failed: ${recorded.reason}`;
    }
  }

  try {
    for (let size = batchSize; performance.now() < clock.lastBegin;) {
      const batch = await schedules.claim(size, clock.end);
      if (batch === null) {
        console.warn(`auto-sync-cron: ${size} claimed schedules were too large to be read at once`);
        if (size === 1) {
          error ??= "a claimed schedule is too large to be read";
        }
        size = Math.ceil(size / 2);
        continue;
      }
      // A batch that is not full is not the last: a suspect schedule is handed out alone.
      if (batch.length === 0) {
        break;
      }
      tally.claimed += batch.length;
      await forEachBounded(batch, settings.concurrency, runOne);
    }
  } catch (thrown) {
    error = reasonOf(thrown);
  }
  const { unstarted, ...counts } = tally;
  return {
    counts: unstarted > 0 ? tally : counts,
    partial: tally.partial + tally.failed > 0,
    ...(error === undefined ? {} : { error }),
  };
}

/** Return when this run, which begins now, must do what. */
function clockOf(settings: Settings, timeLimit: number | null): Clock {
  const now = performance.now();
  const forCalls = Math.min(settings.timeBudget * (1 + GRACE), (timeLimit ?? Infinity) * (1 - RESERVE));
  // A call that is begun has its whole time, or half of all there is: one cut short is recorded as a failure.
  const forOne = Math.min(settings.callTimeout, forCalls / 2);
  return {
    lastBegin: now + Math.min(settings.timeBudget, forCalls - forOne),
    callsEnd: now + forCalls,
    end: now + forCalls * (1 + RESERVE / 2),
  };
}

/** Run `action` on every item, at most `limit` at a time. */
async function forEachBounded<T>(
  items: readonly T[],
  limit: number,
  action: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  async function work(): Promise<void> {
    for (const item of queue) {
      await action(item);
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, work));
}
