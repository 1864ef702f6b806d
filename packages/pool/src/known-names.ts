import dns, { type LookupAddress } from "node:dns";
import { isIP, type LookupFunction, Socket, type SocketConnectOpts } from "node:net";

/** How long a name server may take before the addresses it gave last are tried. */
const patienceMs = 1_000;
/** Of a name server that is away or overwhelmed. A name that is gone is none of these: its address may be another's now. */
const passing = new Set(["EAI_AGAIN", "ESERVFAIL", "ETIMEOUT", "ECONNREFUSED", "ENETUNREACH"]);

type Answer = readonly [address: string | LookupAddress[], family?: number];

/** What each name last stood for, in this process. */
const known = new Map<string, Answer>();

/**
 * Looks a name up as Node does; while the name servers fail or keep silent for a second, it stands for what it last stood
 * for.
 */
export const lookUp: LookupFunction = (name, options, callback) => {
  const key = JSON.stringify([name, options.family ?? 0, options.all ?? false, options.hints ?? 0]);
  const before = known.get(key);
  let answered = false;
  const answer = (error: NodeJS.ErrnoException | null, ...found: Answer): void => {
    if (answered) return;
    answered = true;
    clearTimeout(patience);
    callback(error, ...found);
  };
  const patience = before && setTimeout(() => answer(null, ...before), patienceMs).unref();
  dns.lookup(name, options, (error, ...found) => {
    if (!error) known.set(key, found);
    if (error && before && passing.has(error.code ?? "")) answer(null, ...before);
    else answer(error, ...found);
  });
};

/** A socket that connects to names through `lookUp`. */
export class NamedSocket extends Socket {
  // pg connects by a port and a name, or by the path of a Unix socket.
  override connect(...to: unknown[]): this {
    const [port, host] = to;
    if (typeof port !== "number" || typeof host !== "string" || isIP(host) !== 0) {
      return super.connect(...(to as [SocketConnectOpts]));
    }
    return super.connect({ port, host, lookup: lookUp });
  }
}
