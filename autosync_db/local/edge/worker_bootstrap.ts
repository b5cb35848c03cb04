// Runs inside a function's process: gives it what the platform gives, imports it, and reports its port to the runtime.
//
// Arguments: the path of the function's index.ts, and a nonce that marks the line with the port on stdout.

const [entry, nonce] = Deno.args as [string, string];

interface EdgeRuntime {
  waitUntil<T>(work: Promise<T>): Promise<T>;
}

const background = new Set<Promise<unknown>>();

(globalThis as unknown as { EdgeRuntime: EdgeRuntime }).EdgeRuntime = {
  waitUntil(work) {
    background.add(work);
    work.catch((error) => console.error("background work failed:", error))
      .finally(() => background.delete(work));
    return work;
  },
};

const serve = Deno.serve;
let served = false;
let listening = false;

function serveOnGivenPort(...args: unknown[]): unknown {
  served = true;
  const options =
    args.find((arg): arg is Record<string, unknown> => typeof arg === "object" && arg !== null) ?? {};
  const handler = args.find((arg) => typeof arg === "function") ?? options.handler;
  const { handler: _, port: __, hostname: ___, onListen, ...kept } = options;
  return serve({
    onError(error) {
      console.error("unhandled error:", error);
      const code = "EDGE_FUNCTION_ERROR";
      return Response.json({ code, message: "Internal Server Error" }, {
        status: 500,
        headers: { "sb-error-code": code },
      });
    },
    ...kept,
    onListen(address: Deno.NetAddr) {
      if (!listening) {
        listening = true;
        console.log(`${nonce} ${address.port}`);
      }
      (onListen as ((address: Deno.NetAddr) => void) | undefined)?.(address);
    },
  }, handler as Deno.ServeHandler);
}
(Deno as { serve: unknown }).serve = serveOnGivenPort;

// The runtime holds the other end of stdin: when it is gone, so is this process.
(async () => {
  for await (const _ of Deno.stdin.readable) {
    // Sent when there will be no more requests: what waitUntil was given is finished first.
    Promise.allSettled(background).then(() => Deno.exit(0));
  }
  Deno.exit(0);
})();

const module = await import(`file://${entry}`);
if (typeof module.default?.fetch === "function") {
  serveOnGivenPort((request: Request) => module.default.fetch(request));
}
if (!served) {
  console.error("the module neither calls Deno.serve nor exports a default with a fetch function");
  Deno.exit(1);
}
