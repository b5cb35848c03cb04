// The local edge runtime: a stand-in for Supabase's gateway, Edge Functions and Data API, for development and tests.
//
// One process on 127.0.0.1. It runs each function in a Deno process of its own, answers /rest/v1 out of the database
// itself (there is no PostgREST here), and reports on /health. Nothing in it belongs on a public address.
//
// Run: deno run --no-prompt --allow-net --allow-env --allow-read --allow-run --config deno.json main.ts
// Prints {"listening": <port>} on stdout when ready; everything else, the functions' output included, is on stderr.
// SIGTERM and SIGINT end it and its functions. Environment: settings.ts.

import { dataApi } from "./data_api.ts";
import { Functions } from "./functions.ts";
import { serveGateway } from "./gateway.ts";
import { settingsFrom } from "./settings.ts";

// Whatever proxy leads outside, this runtime and its functions reach each other directly.
for (const name of ["NO_PROXY", "no_proxy"]) {
  Deno.env.set(name, [Deno.env.get(name), "127.0.0.1", "localhost"].filter(Boolean).join(","));
}

const settings = settingsFrom(Deno.env);
const functions = new Functions(settings);
const api = dataApi(settings);

function stop(): void {
  // SIGKILL: a function in the middle of a call must not hold up `local down`.
  functions.kill();
  Deno.exit(0);
}
Deno.addSignalListener("SIGTERM", stop);
Deno.addSignalListener("SIGINT", stop);

Deno.serve({
  hostname: "127.0.0.1",
  port: settings.port,
  onListen: ({ port }) => {
    functions.projectUrl = `http://127.0.0.1:${port}`;
    console.log(JSON.stringify({ listening: port }));
  },
}, serveGateway(settings, functions, api));
