import { describe, expect, test } from "vitest";
import { findSocketTimer } from "./socket-timer.ts";

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:9DFD 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 187012 1
   1: 0100007F:B2C4 0100007F:1538 01 00000000:00000000 02:000003E7 00000000     0        0 53088 1
   2: 0100007F:B2C6 0100007F:1538 01 00000000:00000000 00:00000000 00000000     0        0 53089 1`;

describe("findSocketTimer", () => {
  test("tells a socket whose keep-alive timer runs, and when it is due", () => {
    expect(findSocketTimer(table, 0xb2c4, 5432)).toEqual({ keepAlive: true, dueMs: 9_990 });
  });

  test("tells one without, and one that is not there", () => {
    expect(findSocketTimer(table, 0xb2c6, 5432)).toEqual({ keepAlive: false, dueMs: 0 });
    expect(findSocketTimer(table, 1, 5432)).toBeUndefined();
    expect(findSocketTimer("", 0xb2c4, 5432)).toBeUndefined();
  });
});
