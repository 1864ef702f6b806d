import { createServer } from "node:net";
import { messageOf } from "@db/core";
import { NoFreePortError } from "./errors.ts";

/** Finds a port that was free a moment ago. The default asks the system; tests pass their own. */
export type FindPort = () => Promise<number>;

/**
 * A TCP port of 127.0.0.1 that nobody listened on when this returned. Another process may take it before it is used:
 * whoever uses it tries again with another.
 * @throws {NoFreePortError}
 */
export const findFreePort: FindPort = () =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error) => {
      reject(
        new NoFreePortError(`no port of 127.0.0.1 can be bound: ${messageOf(error)}`, {
          cause: error,
          hint: "Close programs that listen on many ports, or look whether a sandbox forbids listening.",
        }),
      );
    });
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
