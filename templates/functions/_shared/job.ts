// One call of a job by the database: who calls, how long it may take, and how it is answered.
//
// With x-autosync-report: 1 the answer is 202 at once; the work goes on in the background and its end is reported by
// public.auto_sync_report. Else the answer is the end: {"ok", "duration_ms", "counts", "error"?}, 200 or 500.
// A GET runs nothing, and neither does a body of {"probe": true}: they ask who is let in (autosync-db verify --probe).

import { boundedText, jsonObject, reasonOf } from "./answers.ts";
import { cronSecrets, judge, refusal, serviceKeys } from "./credentials.ts";
import { DataApi } from "./data_api.ts";
import { bounded, projectUrlIn } from "./environment.ts";

/** What a job's work is given. */
export interface Call {
  headers: Headers;
  /** The body of the request, null if it is no JSON object. */
  body: Record<string, unknown> | null;
  /** For how many milliseconds the caller waits for the end, null if it does not say. */
  timeLimit: number | null;
  api: DataApi;
}

/** What a job's work did. Counts and error are stored in the database, so they hold nothing personal. */
export interface Result {
  counts: Record<string, number>;
  /** Some of it failed, yet the work as a whole did not. */
  partial?: boolean;
  /** Why the work as a whole failed. */
  error?: string;
}

/** The work of a job. What it throws is its error. */
export type Work = (call: Call) => Promise<Result>;

interface Outcome {
  status: "success" | "partial" | "failed";
  summary: { duration_ms: number; counts: Record<string, number>; error?: string };
}

interface Run {
  outcome: Promise<Outcome>;
  ended: boolean;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const LONGEST_TIME_LIMIT = 86_400_000;
// Of the same call sent twice this instance does the work once; what another instance does it cannot know.
const REMEMBERED_RUNS = 1_000;
const REPORT_ATTEMPTS = 6;
const REPORT_TIME = 10_000;

/** Serve `work` as the Edge Function `name`. */
export function serveJob(name: string, work: Work): void {
  const runs = new Map<string, Run>();
  Deno.serve((request) => handle(request, name, work, runs));
}

async function handle(
  request: Request,
  name: string,
  work: Work,
  runs: Map<string, Run>,
): Promise<Response> {
  // The caller before anything else: whether a credential is accepted can then be asked with a GET, which runs nothing.
  const verdict = await judge(request, Deno.env, cronSecrets(Deno.env));
  if (verdict.kind !== "granted") {
    return refusal(verdict)!;
  }
  if (request.method !== "POST") {
    return problem(405, "method not allowed", { allow: "POST" });
  }
  const body = jsonObject(await boundedText(request).catch(() => ""));
  if (body?.probe === true) {
    return Response.json({ ok: true, probe: true });
  }
  const projectUrl = projectUrlIn(Deno.env);
  if (projectUrl === "") {
    return problem(500, "SUPABASE_URL is not configured");
  }
  const key = idempotencyKey(request.headers);
  const isReported = request.headers.get("x-autosync-report") === "1";
  if (isReported && key === null) {
    return problem(400, "x-autosync-report needs an Idempotency-Key that is a uuid");
  }

  const api = new DataApi(projectUrl, keysFor(verdict.key));
  const timeLimit = bounded(request.headers.get("x-autosync-timeout-ms"), 1, LONGEST_TIME_LIMIT, null);
  const call: Call = { headers: request.headers, body, timeLimit, api };
  const known = key === null ? undefined : runs.get(key);
  const run = known ?? begin(name, work, call);
  if (known === undefined && key !== null) {
    remember(runs, key, run);
  }
  if (!isReported) {
    return answerOf(await run.outcome);
  }
  // A repeated call whose work is still under way is reported with it; one that comes later is reported once more.
  if (known === undefined || known.ended) {
    inBackground(run.outcome.then((outcome) => report(name, api, key!, outcome)));
  }
  return Response.json({ ok: true, accepted: true }, { status: 202 });
}

function begin(name: string, work: Work, call: Call): Run {
  const run: Run = { outcome: perform(name, work, call), ended: false };
  run.outcome.then(() => run.ended = true);
  return run;
}

/** Do the work once. Whatever it throws, the result is an outcome. */
async function perform(name: string, work: Work, call: Call): Promise<Outcome> {
  const started = performance.now();
  let result: Result;
  try {
    result = await work(call);
  } catch (thrown) {
    result = { counts: {}, error: reasonOf(thrown) };
  }
  const { counts, partial, error } = result;
  const duration_ms = Math.round(performance.now() - started);
  const line = Object.entries({ ...counts, duration_ms }).map(([key, value]) => `${key}=${value}`).join(" ");
  if (error !== undefined) {
    console.error(`${name}: ${line} error=${JSON.stringify(error)}`);
    return { status: "failed", summary: { duration_ms, counts, error } };
  }
  console.log(`${name}: ${line}`);
  return { status: partial ? "partial" : "success", summary: { duration_ms, counts } };
}

/** Keep `run` under its key. One that failed is forgotten when it ends, so that the same call may try again. */
function remember(runs: Map<string, Run>, key: string, run: Run): void {
  runs.set(key, run);
  run.outcome.then(({ status }) => status === "failed" && runs.delete(key));
  for (const oldest of runs.keys()) {
    if (runs.size <= REMEMBERED_RUNS) {
      break;
    }
    runs.delete(oldest);
  }
}

async function report(name: string, api: DataApi, key: string, outcome: Outcome): Promise<void> {
  const args = { idempotency_key: key, status: outcome.status, summary: outcome.summary };
  const until = performance.now() + REPORT_TIME;
  const answer = await api.callPatiently("auto_sync_report", args, { attempts: REPORT_ATTEMPTS, until });
  if (!answer.ok) {
    console.error(`${name}: the report was not taken: ${answer.reason}`);
  }
}

/** Keep this instance alive until `work` is done, where the platform has a word for that. */
function inBackground(work: Promise<void>): void {
  const { EdgeRuntime: runtime } = globalThis as {
    EdgeRuntime?: { waitUntil(work: Promise<unknown>): unknown };
  };
  runtime?.waitUntil(work);
}

function answerOf({ status, summary }: Outcome): Response {
  const ok = status !== "failed";
  return Response.json({ ok, ...summary }, { status: ok ? 200 : 500 });
}

function problem(status: number, error: string, headers: Record<string, string> = {}): Response {
  return Response.json({ ok: false, error }, { status, headers });
}

function idempotencyKey(headers: Headers): string | null {
  const key = (headers.get("idempotency-key") ?? "").trim().toLowerCase();
  return UUID.test(key) ? key : null;
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
