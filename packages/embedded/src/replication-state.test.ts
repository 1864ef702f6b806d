import { describe, expect, test } from "vitest";
import { replicationStateOf } from "./replication-state.ts";

const streaming = "2026-11-21 10:00:01 UTC [7] LOG:  started streaming WAL from primary at 0/3000000 on timeline 1";
const ended = "2026-11-21 10:00:02 UTC [7] LOG:  replication terminated by primary server";
const refused = "2026-11-21 10:00:02 UTC [7] FATAL:  could not connect to the primary server: connection refused";
const removed =
  "2026-11-21 10:00:03 UTC [7] FATAL:  could not receive data from WAL stream: ERROR:  requested WAL segment " +
  "000000010000000000000003 has already been removed";

describe("replicationStateOf", () => {
  test("waits before a word was said and while the primary is away", () => {
    expect(replicationStateOf("").state).toBe("waiting");
    expect(replicationStateOf(refused).state).toBe("waiting");
    expect(replicationStateOf(`${streaming}\n${ended}\n${refused}`).state).toBe("waiting");
  });

  test("believes the last word", () => {
    expect(replicationStateOf(`${refused}\n${streaming}`).state).toBe("streaming");
    expect(replicationStateOf(`${streaming}\n${removed}`)).toEqual({
      state: "failed",
      reason: removed.slice(removed.indexOf("FATAL")),
    });
  });

  test.each([
    "highest timeline 1 of the primary is behind recovery timeline 2",
    "requested starting point 0/5000000 is ahead of the WAL flush position of this server 0/4000000",
    'replication slot "replica_1" does not exist',
    "new timeline 2 forked off current database system timeline 1 before current recovery point 0/3000148",
    "database system identifier differs between the primary and standby",
  ])("knows what waiting does not mend: %s", (line) => {
    expect(replicationStateOf(`2026-11-21 10:00:03 UTC [7] FATAL:  ${line}`).state).toBe("failed");
  });
});
