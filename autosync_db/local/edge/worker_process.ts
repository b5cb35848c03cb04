// One function in a Deno process of its own: starting it, passing it requests, ending it.

import { platformError } from "./platform_error.ts";

/** The function did not come to listen. The message says why, for the log and for /health. */
export class BootError extends Error {
  override name = "BootError";
}

interface WorkerOptions {
  functionsDir: string;
  /** In milliseconds. */
  bootTimeout: number;
  /** How long a function may take to answer, and for work in the background when it is no longer needed. */
  wallClock: number;
  /** The only variables that the function can see. */
  environment: Map<string, string>;
}

// Deno itself needs these to find its cache and to reach a registry; the function may not read them.
const FOR_DENO_ITSELF = [
  "HOME",
  "PATH",
  "XDG_CACHE_HOME",
  "DENO_DIR",
  "DENO_CERT",
  "DENO_TLS_CA_STORE",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "NODE_EXTRA_CA_CERTS",
  "NPM_CONFIG_REGISTRY",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
];
const ENDING = 500;
const BOOTSTRAP = new URL("./worker_bootstrap.ts", import.meta.url);

/** A running function. */
export class Worker {
  readonly name: string;
  /** Resolves when the function listens; rejects with a BootError when it will not. */
  readonly booted: Promise<void>;
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>;
  readonly #process: Deno.ChildProcess;
  readonly #wallClock: number;
  // No connection is kept: one that the function closed meanwhile would look like a crash.
  readonly #client = Deno.createHttpClient({ poolMaxIdlePerHost: 0, http2: false });
  #alive = true;
  #address = "";
  #underWay = 0;
  #retired = false;

  constructor(name: string, options: WorkerOptions) {
    this.name = name;
    this.#wallClock = options.wallClock;
    const nonce = crypto.randomUUID();
    this.#process = start(name, nonce, options);
    this.ended = this.#process.status.then(() => {
      this.#alive = false;
      this.#client.close();
    });
    const listening = Promise.withResolvers<number>();
    const ready = `${nonce} `;
    const output = forwardLines(this.#process.stdout, (line) => {
      if (line.startsWith(ready)) {
        listening.resolve(Number(line.slice(ready.length)));
      } else {
        this.#log(line);
      }
    });
    const errors = forwardLines(this.#process.stderr, (line) => this.#log(line));
    this.booted = this.#boot(
      listening.promise,
      Promise.all([output, errors, this.ended]),
      options.bootTimeout,
    );
    this.booted.catch((error) => this.#log(error.message));
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Pass `request` on with `headers`, and answer as the platform does if the function dies or takes too long. */
  async answer(request: Request, headers: Headers): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    // The function sees itself at /<name>, as behind the hosted gateway.
    const target = `${this.#address}${pathname.slice("/functions/v1".length)}${search}`;
    const clock = AbortSignal.timeout(this.#wallClock);
    this.#underWay++;
    try {
      const body = request.body === null ? null : await request.arrayBuffer();
      const answer = await fetch(target, {
        method: request.method,
        headers,
        body: body !== null && body.byteLength > 0 ? body : null,
        redirect: "manual",
        client: this.#client,
        signal: clock,
      });
      return new Response(answer.body, { status: answer.status, headers: endToEnd(answer.headers) });
    } catch (error) {
      if (clock.aborted) {
        return platformError(504, "IDLE_TIMEOUT", `Function did not answer within ${this.#wallClock} ms`);
      }
      // So that the next call finds a dead process marked as dead, and starts another.
      await Promise.race([this.ended, new Promise((resolve) => setTimeout(resolve, ENDING))]);
      this.#log(`the call failed: ${error instanceof Error ? error.message : error}`);
      return platformError(500, "WORKER_ERROR", "Function exited due to an error (please check logs)");
    } finally {
      this.#underWay--;
      this.#endIfRetired();
    }
  }

  /** End the process once it has answered what is under way, and done what it does in the background. */
  retire(): void {
    this.#retired = true;
    this.#endIfRetired();
  }

  /** End the process at once. */
  kill(): void {
    if (this.#alive) {
      try {
        this.#process.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
    }
  }

  async #boot(listening: Promise<number>, gone: Promise<unknown>, timeout: number): Promise<void> {
    const clock = Promise.withResolvers<"late">();
    const timer = setTimeout(() => clock.resolve("late"), timeout);
    const outcome = await Promise.race([listening, gone.then(() => "gone" as const), clock.promise]);
    clearTimeout(timer);
    if (typeof outcome === "number") {
      this.#address = `http://127.0.0.1:${outcome}`;
      return;
    }
    this.kill();
    throw new BootError(
      outcome === "gone"
        ? `function ${this.name} ended before it listened, see the log`
        : `function ${this.name} did not listen within ${timeout} ms`,
    );
  }

  #endIfRetired(): void {
    if (!this.#retired || this.#underWay > 0 || !this.#alive) {
      return;
    }
    const stdin = this.#process.stdin.getWriter();
    stdin.write(new Uint8Array(1)).catch(() => this.kill());
    stdin.releaseLock();
    const timer = setTimeout(() => this.kill(), this.#wallClock);
    this.ended.then(() => clearTimeout(timer));
  }

  #log(line: string): void {
    console.error(`[${this.name}] ${line}`);
  }
}

function start(name: string, nonce: string, options: WorkerOptions): Deno.ChildProcess {
  const folder = `${options.functionsDir}/${name}`;
  const config = [`${folder}/deno.json`, `${folder}/deno.jsonc`, `${options.functionsDir}/deno.json`].find(
    exists,
  );
  const forDeno = FOR_DENO_ITSELF.map((key) => [key, Deno.env.get(key)]).filter(([, value]) =>
    value !== undefined
  );
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--no-lock",
      ...(config === undefined ? ["--no-config"] : [`--config=${config}`]),
      "--allow-net",
      // Its own source, as on the platform; also what lets the bootstrap import it.
      `--allow-read=${options.functionsDir}`,
      `--allow-env=${[...options.environment.keys()].join(",")}`,
      // Any other variable is unset, not an error.
      "--ignore-env",
      BOOTSTRAP.href,
      `${folder}/index.ts`,
      nonce,
    ],
    cwd: options.functionsDir,
    clearEnv: true,
    env: {
      ...Object.fromEntries(forDeno),
      ...Object.fromEntries(options.environment),
      DENO_NO_PACKAGE_JSON: "1",
      DENO_NO_UPDATE_CHECK: "1",
      DENO_SERVE_ADDRESS: "tcp:127.0.0.1:0",
      NO_COLOR: "1",
    },
    // The bootstrap ends the function when this pipe closes, so none outlives the runtime, however that ends.
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

function endToEnd(headers: Headers): Headers {
  const kept = new Headers(headers);
  for (
    const name of ["connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"]
  ) {
    kept.delete(name);
  }
  return kept;
}

async function forwardLines(stream: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(take);
  }
  if (rest !== "") {
    take(rest);
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
