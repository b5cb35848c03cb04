// The schedules, through the Data API: claiming those that are due, and recording how each went.

import { boundedText, jsonObject, presentable } from "../_shared/answers.ts";
import { keyHeaders } from "../_shared/credentials.ts";

/** A claimed row of public.auto_sync_schedules, as far as a run needs it. */
export interface Schedule {
  id: string;
  integration_id: string;
  organization_id: string;
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

/** The Data API did not do what was asked. The message holds no secret. */
export class DataApiError extends Error {
  override name = "DataApiError";
}

// Longer than any run, so that a living run never loses its claims, yet soon enough after a crashed one.
const LEASE = "15 minutes";
const DATA_API_TIMEOUT = 15_000;
const COMPLETION_ATTEMPTS = 3;
const PAUSE_BETWEEN_ATTEMPTS = 250;

/** The schedules of one project. */
export class Schedules {
  readonly #projectUrl: string;
  readonly #keys: readonly string[];
  #key: string;

  /** `keys`: the service keys to try, best first. The first that the Data API does not refuse is kept. */
  constructor(projectUrl: string, keys: readonly string[]) {
    this.#projectUrl = projectUrl;
    this.#keys = keys;
    this.#key = keys[0] ?? "";
  }

  /** The service key that the Data API last accepted. */
  get key(): string {
    return this.#key;
  }

  /** Claim up to `batchSize` due schedules. Throws a DataApiError if that cannot be done. */
  async claim(batchSize: number): Promise<Schedule[]> {
    let refused = "";
    for (const key of [this.#key, ...this.#keys.filter((one) => one !== this.#key)]) {
      const answer = await this.#call("auto_sync_claim", { batch_size: batchSize, lease: LEASE }, key);
      if (answer.status === 401) {
        // A project that has switched its legacy keys off still finds one in the environment.
        refused = answer.reason;
        continue;
      }
      this.#key = key;
      if (!answer.ok) {
        throw new DataApiError(`claiming schedules failed: ${answer.reason}`);
      }
      if (!Array.isArray(answer.value)) {
        throw new DataApiError("claiming schedules failed: the data api did not answer with a list");
      }
      return answer.value as Schedule[];
    }
    throw new DataApiError(`claiming schedules failed: ${refused}`);
  }

  /** Record how `schedule` went. Returns false if that was refused, because the claim has lapsed, or not possible. */
  async complete(schedule: Schedule, outcome: Outcome): Promise<boolean> {
    const args = {
      schedule_id: schedule.id,
      status: outcome.status,
      summary: outcome.summary,
      claim_id: schedule.claim_id ?? null,
    };
    for (let attempt = 1;; attempt++) {
      const answer = await this.#call("auto_sync_complete", args, this.#key)
        .catch((error) => ({ ok: false, status: 0, value: null, reason: reasonOf(error) }));
      if (answer.ok) {
        return answer.value !== false;
      }
      const mayPass = answer.status === 0 || answer.status >= 500 || answer.status === 429;
      if (!mayPass || attempt === COMPLETION_ATTEMPTS) {
        return false;
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_BETWEEN_ATTEMPTS * attempt));
    }
  }

  async #call(
    name: string,
    args: Record<string, unknown>,
    key: string,
  ): Promise<{ ok: boolean; status: number; value: unknown; reason: string }> {
    let answer: Response;
    let text: string;
    try {
      answer = await fetch(`${this.#projectUrl}/rest/v1/rpc/${name}`, {
        method: "POST",
        headers: { ...keyHeaders(key), "content-type": "application/json", accept: "application/json" },
        body: JSON.stringify(args),
        redirect: "manual",
        signal: AbortSignal.timeout(DATA_API_TIMEOUT),
      });
      text = await boundedText(answer);
    } catch (error) {
      throw new DataApiError(`the data api did not answer: ${reasonOf(error)}`);
    }
    if (!answer.ok) {
      const problem = jsonObject(text) ?? {};
      const reason = [`http ${answer.status}`, problem.code, problem.message].filter(Boolean).join(" ");
      return { ok: false, status: answer.status, value: null, reason: presentable(reason) };
    }
    try {
      return { ok: true, status: answer.status, value: text === "" ? null : JSON.parse(text), reason: "" };
    } catch {
      return {
        ok: false,
        status: answer.status,
        value: null,
        reason: "the data api did not answer with json",
      };
    }
  }
}

/** Return a short text for `error` that holds no secret. */
export function reasonOf(error: unknown): string {
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return "timed out";
  }
  return presentable(error instanceof Error ? error.message : String(error));
}
