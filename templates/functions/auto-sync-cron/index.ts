// auto-sync-cron: called by the database every few minutes, runs the schedules that are due.
//
// Deploy with `supabase functions deploy auto-sync-cron` and the entry in config.toml beside this folder.
// Environment: settings.ts. Answers as _shared/job.ts says, with counts only: nothing personal ends in the database.

import { bounded } from "../_shared/environment.ts";
import { serveJob } from "../_shared/job.ts";
import { runDueSchedules } from "./run.ts";
import { Schedules } from "./schedules.ts";
import { settingsFrom } from "./settings.ts";

// What a call without a batch size asks for, and the most that autosync.job may.
const DEFAULT_BATCH = 50;
const LARGEST_BATCH = 200;

serveJob("auto-sync-cron", (call) => {
  // In the body: from callers older than the header.
  const wanted = call.headers.get("x-autosync-batch-size") ?? call.body?.batch_size;
  const batchSize = bounded(wanted, 1, LARGEST_BATCH, DEFAULT_BATCH);
  return runDueSchedules(new Schedules(call.api), settingsFrom(Deno.env), batchSize, call.timeLimit);
});
