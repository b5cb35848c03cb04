// The schedules, through the Data API: claiming those that are due, and recording how each went.

import type { DataApi } from "../_shared/data_api.ts";

/** What public.auto_sync_claim returns of a schedule, as far as a run needs it. */
export interface Schedule {
  id: string;
  integration_id: string;
  organization_id: string | null;
  direction: string;
  conflict_resolution: string;
  only_online: boolean;
  device_filter: string;
  device_tags: string[] | null;
  claim_id: string | null;
}

/** What public.auto_sync_schedules.last_run_status and last_run_summary will hold. */
export interface Outcome {
  status: "success" | "partial" | "failed";
  summary: Counts & { error?: string };
}

export interface Counts {
  synced: number;
  created: number;
  updated: number;
  skipped: number;
  errors: number;
}

/** Whether an outcome was recorded. `lost`: somebody else has the schedule by now, or it is gone; nothing is wrong. */
export type Recorded = { kind: "recorded" } | { kind: "lost" } | { kind: "refused"; reason: string };

// Longer than any run, so that a living run never loses its claims, yet soon enough after a crashed one.
const LEASE = "15 minutes";
const COMPLETION_ATTEMPTS = 3;
// What auto_sync_complete raises when the claim was lost, or the schedule deleted.
const LOST = ["PT409", "PT404"];

/** The schedules of one project. */
export class Schedules {
  readonly #api: DataApi;

  constructor(api: DataApi) {
    this.#api = api;
  }

  /** The service key that the Data API last accepted. */
  get key(): string {
    return this.#api.key;
  }

  /**
   * Claim up to `batchSize` due schedules. Returns null when the answer was too large to be read: what was claimed
   * then is held until the lease ends. Throws an Error if schedules cannot be claimed.
   */
  async claim(batchSize: number, until: number): Promise<Schedule[] | null> {
    const answer = await this.#api.call("auto_sync_claim", { batch_size: batchSize, lease: LEASE }, until);
    if (answer.tooLarge) {
      return null;
    }
    if (!answer.ok) {
      throw new Error(`claiming schedules failed: ${answer.reason}`);
    }
    if (!Array.isArray(answer.value)) {
      throw new Error("claiming schedules failed: the data api did not answer with a list");
    }
    return answer.value as Schedule[];
  }

  /** Record how `schedule` went. */
  async complete(schedule: Schedule, outcome: Outcome, until: number): Promise<Recorded> {
    const args = {
      schedule_id: schedule.id,
      status: outcome.status,
      summary: outcome.summary,
      claim_id: schedule.claim_id ?? null,
    };
    // Completing twice with one claim is the same as once.
    const answer = await this.#api.callPatiently("auto_sync_complete", args, {
      attempts: COMPLETION_ATTEMPTS,
      until,
    });
    // Done, and nothing of the answer is needed.
    if (answer.ok || answer.tooLarge) {
      return { kind: "recorded" };
    }
    return LOST.includes(answer.code) ? { kind: "lost" } : { kind: "refused", reason: answer.reason };
  }
}
