// Everything this function reads from its environment, and the bounds of each value.

import type { Environment } from "../_shared/credentials.ts";
import { bounded, projectUrlIn } from "../_shared/environment.ts";

/** How a run behaves. Times are in milliseconds. */
export interface Settings {
  /** Address of the project, without a trailing slash. */
  projectUrl: string;
  /** Name of the function that synchronises one integration. */
  deviceSyncFunction: string;
  /** How many calls may be under way at once. */
  concurrency: number;
  /** After this time at the latest nothing is claimed or begun. The platform ends a function after 150 s. */
  timeBudget: number;
  /** How long one call of the sync function may take. */
  callTimeout: number;
}

/** Return the settings in `environment`; numbers that make no sense give way to the default. */
export function settingsFrom(environment: Environment): Settings {
  return {
    projectUrl: projectUrlIn(environment),
    deviceSyncFunction: environment.get("AUTOSYNC_DEVICE_SYNC_FUNCTION")?.trim() || "device-sync",
    concurrency: bounded(environment.get("AUTOSYNC_CONCURRENCY"), 1, 50, 5),
    timeBudget: bounded(environment.get("AUTOSYNC_TIME_BUDGET_MS"), 100, 380_000, 120_000),
    callTimeout: bounded(environment.get("AUTOSYNC_CALL_TIMEOUT_MS"), 100, 380_000, 60_000),
  };
}
