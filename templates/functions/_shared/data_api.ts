// The project's Data API: calls of database functions, with the service key that it accepts.

import { boundedText, jsonObject, presentable, reasonOf } from "./answers.ts";
import { keyHeaders } from "./credentials.ts";

/** What became of a call. `status` is 0 if no answer came, `code` is the Data API's own; `reason` holds no secret. */
export interface Answer {
  ok: boolean;
  status: number;
  code: string;
  /** The call was answered, and so was done, but the answer is too large to be read. */
  tooLarge: boolean;
  value: unknown;
  reason: string;
}

/** How often a call is made, and until when (a time of performance.now()) another attempt may begin. */
export interface Patience {
  attempts: number;
  until: number;
}

// The largest batch of schedules with long lists of tags; a function has 256 MB.
const ANSWER_LIMIT_BYTES = 4_000_000;
const LONGEST_CALL = 15_000;
const SHORTEST_CALL = 1_000;
const FIRST_PAUSE = 250;

/** The Data API of one project. */
export class DataApi {
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

  /** Call the function public.`name` once and say how that went; its answer must have come by about `until`. */
  async call(name: string, args: Record<string, unknown>, until: number): Promise<Answer> {
    let refused = failure(0, "there is no service key");
    for (const key of [this.#key, ...this.#keys.filter((one) => one !== this.#key)]) {
      const answer = await this.#callWith(key, name, args, until);
      // A project that has switched its legacy keys off still finds one in the environment.
      if (answer.status !== 401) {
        this.#key = key;
        return answer;
      }
      refused = answer;
    }
    return refused;
  }

  /** Call the function public.`name`, which may be called twice, again while the failure is one that may pass. */
  async callPatiently(name: string, args: Record<string, unknown>, patience: Patience): Promise<Answer> {
    for (let attempt = 1, pause = FIRST_PAUSE;; attempt++, pause *= 2) {
      const answer = await this.call(name, args, patience.until);
      const mayPass = answer.status === 0 || answer.status >= 500 || answer.status === 429;
      const isLast = attempt >= patience.attempts || performance.now() + pause >= patience.until;
      if (answer.ok || !mayPass || isLast) {
        return answer;
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  async #callWith(key: string, name: string, args: Record<string, unknown>, until: number): Promise<Answer> {
    const timeout = Math.max(SHORTEST_CALL, Math.min(LONGEST_CALL, until - performance.now()));
    let answer: Response;
    let text: string;
    try {
      answer = await fetch(`${this.#projectUrl}/rest/v1/rpc/${name}`, {
        method: "POST",
        headers: { ...keyHeaders(key), "content-type": "application/json", accept: "application/json" },
        body: JSON.stringify(args),
        redirect: "manual",
        signal: AbortSignal.timeout(Math.round(timeout)),
      });
      text = await boundedText(answer, ANSWER_LIMIT_BYTES);
    } catch (error) {
      return error instanceof RangeError
        ? { ...failure(200, `the answer is larger than ${ANSWER_LIMIT_BYTES} bytes`), tooLarge: true }
        : failure(0, `the data api did not answer: ${reasonOf(error)}`);
    }
    if (!answer.ok) {
      const problem = jsonObject(text) ?? {};
      const reason = [`http ${answer.status}`, problem.code, problem.message].filter(Boolean).join(" ");
      const code = typeof problem.code === "string" ? problem.code : "";
      return { ...failure(answer.status, presentable(reason)), code };
    }
    try {
      const value: unknown = text === "" ? null : JSON.parse(text);
      return { ok: true, status: answer.status, code: "", tooLarge: false, value, reason: "" };
    } catch {
      return failure(answer.status, "the data api did not answer with json");
    }
  }
}

function failure(status: number, reason: string): Answer {
  return { ok: false, status, code: "", tooLarge: false, value: null, reason };
}
