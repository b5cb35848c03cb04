// The functions folder: one worker per function, started at its first call, again after its files changed or it died.

import { platformError } from "./platform_error.ts";
import type { Settings } from "./settings.ts";
import { parseEnvFile } from "./settings.ts";
import { BootError, Worker } from "./worker_process.ts";

const FUNCTION_NAME = /^[A-Za-z][A-Za-z0-9_-]*$/;

interface Slot {
  /** What the function's files looked like when the worker was started. */
  signature: string;
  booting: Promise<Worker>;
  worker: Worker | null;
  bootError: string | null;
}

/** The functions of one folder. */
export class Functions {
  /** Where functions reach this runtime; known once it listens. */
  projectUrl = "";
  readonly #settings: Settings;
  readonly #slots = new Map<string, Slot>();
  readonly #workers = new Set<Worker>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** Say whether the folder has a function of this name. */
  has(name: string): boolean {
    return FUNCTION_NAME.test(name) && isFile(`${this.#settings.functionsDir}/${name}/index.ts`);
  }

  /** Return each function's state: idle (not called yet), booting, running, failed or exited. */
  state(): Record<string, { state: string; error?: string }> {
    const names = [...Deno.readDirSync(this.#settings.functionsDir)].map((entry) => entry.name);
    return Object.fromEntries(
      names.filter((name) => this.has(name)).sort().map((name) => {
        const slot = this.#slots.get(name);
        if (slot === undefined) {
          return [name, { state: "idle" }];
        }
        if (slot.bootError !== null) {
          return [name, { state: "failed", error: slot.bootError }];
        }
        return [name, { state: slot.worker === null ? "booting" : slot.worker.alive ? "running" : "exited" }];
      }),
    );
  }

  /** Have the function `name` answer `request` with `headers` instead of its own, or answer as the platform would. */
  async call(name: string, request: Request, headers: Headers): Promise<Response> {
    let worker: Worker;
    try {
      worker = await this.#workerFor(name);
    } catch (error) {
      if (error instanceof BootError) {
        return platformError(503, "BOOT_ERROR", "Function failed to start (please check logs)");
      }
      throw error;
    }
    return await worker.answer(request, headers);
  }

  /** End every worker at once. */
  kill(): void {
    for (const worker of this.#workers) {
      worker.kill();
    }
  }

  async #workerFor(name: string): Promise<Worker> {
    const signature = this.#signatureOf(name);
    const slot = this.#slots.get(name);
    const current = slot !== undefined && slot.signature === signature;
    // A failed boot is tried again by the next call: what it lacked may be there by now.
    if (current && slot.bootError === null && (slot.worker === null || slot.worker.alive)) {
      return await slot.booting;
    }
    slot?.booting.then((worker) => worker.retire(), () => {});
    return await this.#start(name, signature).booting;
  }

  #start(name: string, signature: string): Slot {
    const worker = new Worker(name, {
      functionsDir: this.#settings.functionsDir,
      bootTimeout: this.#settings.bootTimeout,
      wallClock: this.#settings.wallClock,
      environment: this.#environment(),
    });
    this.#workers.add(worker);
    worker.ended.then(() => this.#workers.delete(worker));
    const slot: Slot = {
      signature,
      booting: worker.booted.then(() => worker),
      worker: null,
      bootError: null,
    };
    slot.booting.then(
      () => slot.worker = worker,
      (error) => slot.bootError = error instanceof Error ? error.message : String(error),
    );
    this.#slots.set(name, slot);
    return slot;
  }

  #environment(): Map<string, string> {
    const file = this.#settings.functionsEnvFile;
    const own = file !== null && isFile(file) ? parseEnvFile(Deno.readTextFileSync(file)) : [];
    // The platform does not let a project's own secrets replace the SUPABASE_ variables either.
    return new Map([...own, ...this.#settings.supabase, ["SUPABASE_URL", this.projectUrl]]);
  }

  #signatureOf(name: string): string {
    const root = this.#settings.functionsDir;
    const files = [...filesUnder(`${root}/${name}`), ...filesUnder(`${root}/_shared`), `${root}/deno.json`];
    if (this.#settings.functionsEnvFile !== null) {
      files.push(this.#settings.functionsEnvFile);
    }
    return files.map((path) => {
      try {
        const { mtime, size } = Deno.statSync(path);
        return `${path} ${mtime?.getTime()} ${size}`;
      } catch {
        return `${path} missing`;
      }
    }).join("\n");
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function filesUnder(folder: string): string[] {
  let entries: Deno.DirEntry[];
  try {
    entries = [...Deno.readDirSync(folder)].sort((left, right) => left.name < right.name ? -1 : 1);
  } catch {
    return [];
  }
  return entries
    .filter((entry) => entry.name !== "node_modules" && !entry.name.startsWith("."))
    .flatMap((entry) =>
      entry.isDirectory ? filesUnder(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`]
    );
}
