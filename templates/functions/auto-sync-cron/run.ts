// One run: claim what is due, sync each schedule, record each outcome, until nothing is due or the time is over.

import { syncDevices } from "./device_sync.ts";
import type { Schedule, Schedules } from "./schedules.ts";
import type { Settings } from "./settings.ts";

/**
 * What a run did. Every claimed schedule is counted once more: under its outcome if that was recorded, under
 * `refused` if it was not, under `unstarted` if the time was over before its turn (its claim then lapses by itself).
 */
export interface Tally {
  claimed: number;
  succeeded: number;
  partial: number;
  failed: number;
  refused: number;
  unstarted: number;
}

/** Return a tally of nothing. */
export function emptyTally(): Tally {
  return { claimed: 0, succeeded: 0, partial: 0, failed: 0, refused: 0, unstarted: 0 };
}

// The last calls and their records may end this share of the budget after it: 140 s by default, of the platform's 150.
const GRACE = 1 / 6;

/** Do one run and count into `tally` as it goes. Throws a DataApiError if schedules cannot be claimed. */
export async function runDueSchedules(
  schedules: Schedules,
  settings: Settings,
  batchSize: number,
  tally: Tally,
): Promise<void> {
  const started = performance.now();
  const timeout = Math.round(Math.min(settings.callTimeout, settings.timeBudget / 2));
  // A call is begun only while it has its whole time: one cut short would be recorded as the schedule's failure.
  const lastBegin = started + Math.min(settings.timeBudget, settings.timeBudget * (1 + GRACE) - timeout);
  const url = `${settings.projectUrl}/functions/v1/${encodeURIComponent(settings.deviceSyncFunction)}`;

  async function runOne(schedule: Schedule): Promise<void> {
    if (performance.now() >= lastBegin) {
      tally.unstarted++;
      return;
    }
    const outcome = await syncDevices(schedule, { url, key: schedules.key, timeout });
    if (!await schedules.complete(schedule, outcome)) {
      tally.refused++;
    } else {
      tally[outcome.status === "success" ? "succeeded" : outcome.status]++;
    }
  }

  for (let full = true; full && performance.now() < lastBegin;) {
    const batch = await schedules.claim(batchSize);
    tally.claimed += batch.length;
    await forEachBounded(batch, settings.concurrency, runOne);
    full = batch.length >= batchSize;
  }
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
