// auto-sync-cron: called by the database every few minutes, runs the schedules that are due.
//
// Deploy with `supabase functions deploy auto-sync-cron` and the entry in config.toml beside this folder.
// Environment: settings.ts. Answers with counts only, so that nothing personal ends in pg_net's response table.
// A body of {"probe": true} runs nothing: it asks who is let in (autosync-db verify --probe).

import { boundedText, jsonObject } from "../_shared/answers.ts";
import { cronSecrets, judge, refusal, serviceKeys } from "../_shared/credentials.ts";
import { emptyTally, runDueSchedules } from "./run.ts";
import { reasonOf, Schedules } from "./schedules.ts";
import { bounded, settingsFrom } from "./settings.ts";

// What a missing or unreadable body asks for.
const DEFAULT_BATCH = 50;
const LARGEST_BATCH = 200;

async function handle(request: Request): Promise<Response> {
  // The caller before anything else: whether a credential is accepted can then be asked with a GET, which runs nothing.
  const verdict = await judge(request, Deno.env, cronSecrets(Deno.env));
  if (verdict.kind !== "granted") {
    return refusal(verdict)!;
  }
  if (request.method !== "POST") {
    return Response.json({ ok: false, error: "method not allowed" }, {
      status: 405,
      headers: { allow: "POST" },
    });
  }
  const body = jsonObject(await boundedText(request).catch(() => ""));
  if (body?.probe === true) {
    return Response.json({ ok: true, probe: true });
  }
  const settings = settingsFrom(Deno.env);
  if (settings.projectUrl === "") {
    return Response.json({ ok: false, error: "SUPABASE_URL is not configured" }, { status: 500 });
  }

  const started = performance.now();
  const tally = emptyTally();
  const batchSize = bounded(body?.batch_size, 1, LARGEST_BATCH, DEFAULT_BATCH);
  const schedules = new Schedules(settings.projectUrl, keysFor(verdict.key));
  let error: string | null = null;
  try {
    await runDueSchedules(schedules, settings, batchSize, tally);
  } catch (thrown) {
    error = reasonOf(thrown);
  }
  const counts = { ...tally, duration_ms: Math.round(performance.now() - started) };
  const line = Object.entries(counts).map(([name, value]) => `${name}=${value}`).join(" ");
  if (error !== null) {
    console.error(`auto-sync-cron: ${line} error=${JSON.stringify(error)}`);
    return Response.json({ ok: false, error, ...counts }, { status: 500 });
  }
  console.log(`auto-sync-cron: ${line}`);
  return Response.json({ ok: true, ...counts });
}

/** Return the service keys to work with: first those of the kind that the caller has just shown to be in use. */
function keysFor(presented: string | null): string[] {
  const keys = serviceKeys(Deno.env);
  if (presented === null) {
    return keys;
  }
  const isSecretKey = (key: string) => key.startsWith("sb_");
  const sameKind = keys.filter((key) => isSecretKey(key) === isSecretKey(presented));
  return [...new Set([...sameKind, ...keys])];
}

Deno.serve(handle);
