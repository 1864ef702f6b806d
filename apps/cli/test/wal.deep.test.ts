import { expect, test } from "vitest";
import { archiveAndRecover, openWalPlace, receiveAndStop } from "./wal-scenario.ts";

test.each([12, 15])("PostgreSQL %i archives, receives and recovers through db wal", async (version) => {
  await using place = await openWalPlace(version);
  await receiveAndStop(place);
  await archiveAndRecover(place);
  expect((await place.db("wal", "status")).code).toBe(0);
});
