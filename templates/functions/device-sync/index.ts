// device-sync: synchronises the devices of one integration. This is a sample: `syncIntegration` is yours to write.
//
// auto-sync-cron calls it once per due schedule and records what it answers:
//   200 {"ok": true, "summary": {...}} with errors = 0   the run is recorded as `success`
//   the same with errors > 0                             `partial`, or `failed` if nothing was synced
//   any other status, no answer in time, no JSON         `failed`, and the schedule backs off

import { boundedText, jsonObject } from "../_shared/answers.ts";
import { judge, refusal } from "../_shared/credentials.ts";

interface SyncRequest {
  integration_id: string;
  organization_id: string | null;
  direction: "import" | "export" | "bidirectional";
  dryRun: boolean;
  options: {
    conflictResolution: "newest_wins" | "local_wins" | "remote_wins" | "manual";
    onlyOnline: boolean;
    deviceFilter: "all" | "tagged";
    deviceTags: string[] | null;
  };
}

interface SyncSummary {
  synced: number;
  created: number;
  updated: number;
  skipped: number;
  errors: number;
}

/**
 * Synchronise one integration and count what happened to its devices.
 *
 * Put your own sync here:
 * 1. read the integration and its credentials with the service key (`SUPABASE_URL`, `SUPABASE_SERVICE_ROLE_KEY`);
 * 2. fetch the remote devices, in the direction and with the filters of `request`;
 * 3. write the differences, unless `request.dryRun`; a device that fails is counted in `errors`, it does not throw;
 * 4. throw only when nothing could be done at all, for instance because the remote service is down.
 * When the function is interrupted, its schedule is run again, so the same device may come twice: write idempotently.
 */
// deno-lint-ignore require-await
async function syncIntegration(request: SyncRequest): Promise<SyncSummary> {
  console.log(
    `device-sync: ${request.direction}${request.dryRun ? ", dry run" : ""}: the sample syncs nothing`,
  );
  return { synced: 0, created: 0, updated: 0, skipped: 0, errors: 0 };
}

async function handle(request: Request): Promise<Response> {
  if (request.method !== "POST") {
    return Response.json({ ok: false, error: "method not allowed" }, {
      status: 405,
      headers: { allow: "POST" },
    });
  }
  const refused = refusal(await judge(request, Deno.env));
  if (refused !== null) {
    return refused;
  }
  const body = jsonObject(await boundedText(request).catch(() => ""));
  if (typeof body?.integration_id !== "string") {
    return Response.json({ ok: false, error: "integration_id is required" }, { status: 400 });
  }
  try {
    const summary = await syncIntegration(body as unknown as SyncRequest);
    return Response.json({ ok: true, summary });
  } catch (error) {
    // The details belong in the function's log; the answer is stored beside the schedule.
    console.error("device-sync failed:", error);
    return Response.json({ ok: false, error: "the sync failed, see the log of device-sync" }, {
      status: 500,
    });
  }
}

Deno.serve(handle);
