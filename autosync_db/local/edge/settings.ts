// Everything the runtime reads from its environment. Secrets come this way only, never as arguments.

/** How the runtime behaves. Times are in milliseconds. */
export interface Settings {
  /** AUTOSYNC_EDGE_PORT: port on 127.0.0.1; 0 takes a free one. */
  port: number;
  /** AUTOSYNC_FUNCTIONS_DIR: folder with one folder per function, as supabase/functions. */
  functionsDir: string;
  /** AUTOSYNC_FUNCTIONS_ENV_FILE: KEY=VALUE lines for the functions' environment, read at each start of one. */
  functionsEnvFile: string | null;
  /** AUTOSYNC_VERIFY_JWT: "true" or "false", then exceptions: "true,auto-sync-cron=false". */
  verifyJwt: { byDefault: boolean; byFunction: Map<string, boolean> };
  /** AUTOSYNC_JWT_SECRET: the HS256 secret that legacy keys and user tokens are signed with. */
  jwtSecret: string;
  /** AUTOSYNC_DB_URL: the database, as role authenticator. Without it /rest/v1 answers 503. */
  databaseUrl: string | null;
  /** AUTOSYNC_WALL_CLOCK_MS: how long a function may take to answer. */
  wallClock: number;
  /** AUTOSYNC_BOOT_TIMEOUT_MS: how long a function may take to start, downloads of npm packages included. */
  bootTimeout: number;
  /** The SUPABASE_* variables for functions; the Data API accepts the keys among them, too. */
  supabase: Map<string, string>;
}

const HANDED_ON = [
  "SUPABASE_ANON_KEY",
  "SUPABASE_SERVICE_ROLE_KEY",
  "SUPABASE_PUBLISHABLE_KEYS",
  "SUPABASE_SECRET_KEYS",
  "SUPABASE_DB_URL",
];

/** Return the settings in `environment`. Throws an Error that names the variable when one is missing or wrong. */
export function settingsFrom(environment: { get(name: string): string | undefined }): Settings {
  const functionsDir = environment.get("AUTOSYNC_FUNCTIONS_DIR");
  if (!functionsDir) {
    throw new Error("AUTOSYNC_FUNCTIONS_DIR is not set");
  }
  return {
    port: wholeNumber("AUTOSYNC_EDGE_PORT", 0),
    functionsDir: Deno.realPathSync(functionsDir),
    functionsEnvFile: environment.get("AUTOSYNC_FUNCTIONS_ENV_FILE") || null,
    verifyJwt: verifyJwtFrom(environment.get("AUTOSYNC_VERIFY_JWT") || "true"),
    jwtSecret: environment.get("AUTOSYNC_JWT_SECRET") ?? "",
    databaseUrl: environment.get("AUTOSYNC_DB_URL") || null,
    wallClock: wholeNumber("AUTOSYNC_WALL_CLOCK_MS", 150_000),
    bootTimeout: wholeNumber("AUTOSYNC_BOOT_TIMEOUT_MS", 60_000),
    supabase: new Map(
      HANDED_ON.map((name) => [name, environment.get(name) ?? ""] as const).filter(([, value]) =>
        value !== ""
      ),
    ),
  };

  function wholeNumber(name: string, otherwise: number): number {
    const text = environment.get(name);
    if (!text) {
      return otherwise;
    }
    if (!/^\d+$/.test(text)) {
      throw new Error(`${name} is not a whole number`);
    }
    return Number(text);
  }
}

function verifyJwtFrom(text: string): Settings["verifyJwt"] {
  const verify = { byDefault: true, byFunction: new Map<string, boolean>() };
  for (const part of text.split(",").map((one) => one.trim()).filter(Boolean)) {
    const [name, value] = part.includes("=") ? part.split("=", 2) as [string, string] : [null, part];
    if (value !== "true" && value !== "false") {
      throw new Error("AUTOSYNC_VERIFY_JWT takes true or false, and NAME=true or NAME=false after a comma");
    }
    if (name === null) {
      verify.byDefault = value === "true";
    } else {
      verify.byFunction.set(name, value === "true");
    }
  }
  return verify;
}

/** Return the KEY=VALUE lines of `text`; blank lines, comments and one pair of quotes around a value are dropped. */
export function parseEnvFile(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const found = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$/.exec(line);
    if (found !== null) {
      const [, name, value] = found as unknown as [string, string, string];
      values.set(name, /^(["']).*\1$/.test(value) && value.length > 1 ? value.slice(1, -1) : value);
    }
  }
  return values;
}
